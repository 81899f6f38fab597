import { beforeEach, describe, expect, it } from 'vitest';
import { KeyRing } from '../../../src/controller/keys/key-ring.ts';
import { keysData, makeKey, newKeysSecret, type PrivateJwk } from '../../../src/controller/keys/key-set.ts';
import type { KubeApi } from '../../../src/kube/api.ts';
import { systemClock, type Clock } from '../../../src/kube/clock.ts';
import { Verifier } from '../../../src/supervisor/verifier.ts';
import { bodyDigest } from '../../../src/supervisor/wire.ts';

/** What the controller signs, before the judge that it is made for: the supervisor of a pod. */
const POD = 'pod-uid';
const SESSION = 'session-uid';
const bind = { podUid: POD, sessionUid: SESSION, operation: 'bind', body: '{"a":1}' } as const;
const stop = { podUid: POD, sessionUid: SESSION, operation: 'stop' } as const;

let older: PrivateJwk;
let newer: PrivateJwk;

beforeEach(async () => {
  older = await makeKey('signing', 0);
  newer = await makeKey('signing', 0);
});

async function ringWith(keys: PrivateJwk[], clock: Clock = systemClock): Promise<KeyRing> {
  const data = { ...keysData('signing', keys), ...keysData('sealing', [await makeKey('sealing', 0)]) };
  const api = { get: () => Promise.resolve(newKeysSecret('keys', data)) } as unknown as KubeApi;
  const ignore = () => undefined;
  const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const ring = new KeyRing({ api, secret: { namespace: 'ns', name: 'keys' }, kidsInUse: () => [], clock, logger });
  await ring.load(new AbortController().signal);
  return ring;
}

const verifierFor = async (keys: PrivateJwk[], pod = POD): Promise<Verifier> =>
  await Verifier.create(pod, { controller: (await ringWith(keys)).publicKeys, gateway: [] });

const bearer = (token: string | undefined): string => `Bearer ${token ?? ''}`;

describe('a token', () => {
  it('is accepted by the pod that it is for, with all that it says', async () => {
    const ring = await ringWith([newer]);
    const verifier = await verifierFor([newer]);
    expect(await verifier.verify(bearer(await ring.sign(bind, ring.kids)), 'bind')).toMatchObject({
      iss: 'controller',
      aud: POD,
      sub: SESSION,
      op: 'bind',
      body: bodyDigest('{"a":1}'),
    });
    const claims = await verifier.verify(bearer(await ring.sign(stop, ring.kids)), 'stop');
    expect(claims).toMatchObject({ op: 'stop' });
    expect(claims).not.toHaveProperty('body');
  });

  it('is for no other pod and no other operation', async () => {
    const ring = await ringWith([newer]);
    const token = bearer(await ring.sign(stop, ring.kids));
    expect(await (await verifierFor([newer], 'another')).verify(token, 'stop')).toBeUndefined();
    expect(await (await verifierFor([newer])).verify(token, 'bind')).toBeUndefined();
  });

  it('is over after a minute, and the minute that clocks may differ', async () => {
    const verifier = await verifierFor([newer]);
    const signedAgo = async (ms: number): Promise<string> => {
      const ring = await ringWith([newer], { ...systemClock, now: () => Date.now() - ms });
      return bearer(await ring.sign(stop, ring.kids));
    };
    expect(await verifier.verify(await signedAgo(115_000), 'stop')).toBeDefined();
    expect(await verifier.verify(await signedAgo(125_000), 'stop')).toBeUndefined();
  });

  it('is signed with the newest key that the pod trusts', async () => {
    const ring = await ringWith([newer, older]);
    const old = await verifierFor([older]);
    const fresh = await verifierFor([newer]);
    const both = bearer(await ring.sign(stop, [older.kid, newer.kid]));
    expect(await fresh.verify(both, 'stop')).toBeDefined();
    expect(await old.verify(both, 'stop')).toBeUndefined();
    const theirs = bearer(await ring.sign(stop, [older.kid, 'a key of the gateway']));
    expect(await old.verify(theirs, 'stop')).toBeDefined();
  });

  it('is not to be had for a pod that trusts none of our keys', async () => {
    const ring = await ringWith([newer]);
    expect(await ring.sign(stop, [older.kid])).toBeUndefined();
    expect(await ring.sign(stop, [])).toBeUndefined();
  });
});
