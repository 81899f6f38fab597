import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeError } from '../../kube/errors.ts';
import type { Secret } from '../../kube/objects.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { KeyRing } from './key-ring.ts';
import { seal } from '../../sealing/sealing.ts';
import { keysData, purposes } from './key-set.ts';
import { KEEP_MS, KEEP_SEALING_MS } from './plan-keys.ts';
import { SecretServer, textOf } from './testing/secret-server.ts';

const ref = { namespace: 'system', name: 'keys' };
const LOOK_MS = 30_000;

let clock: FakeClock;
let server: SecretServer;
let kidsInUse: ReadonlySet<string>[];
let logged: string[];
let end: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  server = new SecretServer();
  kidsInUse = [];
  logged = [];
  end = new AbortController();
});

afterEach(() => {
  end.abort();
  // Whatever happened: no private key is told to anybody.
  for (const key of server.privateKeys) expect(logged.join('\n')).not.toContain(key);
});

function makeRing(): KeyRing {
  const log = (level: string) => (fields: object, message: string) => {
    const { err, ...rest } = fields as { err?: Error };
    logged.push(`${level} ${message} ${err?.stack ?? ''} ${JSON.stringify(rest)}`);
  };
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  return new KeyRing({ api: server.api, secret: ref, kidsInUse: () => kidsInUse, clock, logger });
}

async function loaded(): Promise<KeyRing> {
  const ring = makeRing();
  await ring.load(end.signal);
  return ring;
}

/** One that runs, and what has been heard of it. */
async function running(): Promise<{ ring: KeyRing; changes: string[][] }> {
  const ring = await loaded();
  const changes: string[][] = [];
  ring.onChanged('signing', () => changes.push(ring.kids));
  void ring.run(end.signal);
  return { ring, changes };
}

/** Moves the time on to the next look, and lets that happen: keys are made on other threads. */
async function look(until: () => boolean): Promise<void> {
  await clock.advanceAsync(LOOK_MS);
  await expect.poll(until, { interval: 2 }).toBe(true);
  await clock.untilTimer(LOOK_MS);
}

describe('at the start', () => {
  it('a key is made when there is none, in a Secret that is marked as ours', async () => {
    const ring = await loaded();
    expect(server.secret?.metadata.labels).toEqual({ 'app.kubernetes.io/managed-by': 'bullpen' });
    expect(ring.publicKeys).toEqual([
      { kid: expect.any(String) as string, kty: 'OKP', crv: 'Ed25519', x: expect.any(String) as string },
    ]);
    expect(JSON.parse(textOf(server.secret))).toMatchObject({
      keys: [{ kid: ring.kids[0], createdAt: '2026-01-01T00:00:00.000Z' }],
    });
  });

  it('the keys that are there are taken, and nothing is written', async () => {
    const first = await loaded();
    const second = await loaded();
    expect(second.publicKeys).toEqual(first.publicKeys);
    expect(server.writes).toBe(1);
  });

  it('a key to open with is added where an earlier version made none, and those that sign stay', async () => {
    const { kids } = await loaded();
    server.put({ ...(server.secret as Secret), data: { 'keys.json': server.secret?.data?.['keys.json'] ?? '' } });
    server.annotate({ mine: 'stays', 'bullpen.dev/rotate': 'later' });
    const ring = await loaded();
    expect(ring.kids).toEqual(kids);
    expect(ring.sealingKeys[0]).toMatchObject({ kty: 'OKP', crv: 'X25519' });
    expect(server.secret?.metadata.annotations).toEqual({ mine: 'stays', 'bullpen.dev/rotate': 'later' });
    expect(server.writes).toBe(2);
    expect((await loaded()).sealingKeys).toEqual(ring.sealingKeys);
    expect(server.writes).toBe(2);
  });

  it('it rejects, and says where, when the keys to open with cannot be used', async () => {
    await loaded();
    server.put({ ...(server.secret as Secret), data: { ...server.secret?.data, ...keysData('sealing', []) } });
    await expect(loaded()).rejects.toThrow(/holds no keys that can be used \(sealing\.json\)/);
  });

  it('those that another has made at the same moment are taken', async () => {
    const other = await loaded();
    server.failures = [[404, 'NotFound']];
    expect((await loaded()).kids).toEqual(other.kids);
    expect(server.writes).toBe(1);
  });

  it('it tries again while the API server has no answer', async () => {
    server.failures = [
      [500, 'InternalError'],
      [404, 'NotFound'],
      [504, 'Timeout'],
    ];
    const loading = loaded();
    for (let attempt = 0; attempt < 2; attempt++) {
      await clock.untilTimer(1_000);
      await clock.advanceAsync(1_000);
    }
    expect((await loading).kids).toHaveLength(1);
  });

  it('it rejects, and says what to do, when it has no right to them', async () => {
    server.failures = [[403, 'Forbidden']];
    await expect(loaded()).rejects.toThrow(/may not get or create the Secret system\/keys.*docs\/security\.md/);
  });

  it('it rejects, and says what to do, when the Secret holds something else, which it leaves there', async () => {
    server.put({ metadata: { name: 'keys' } as Secret['metadata'], data: { [purposes.signing.file]: 'bm9uc2Vuc2U=' } });
    await expect(loaded()).rejects.toThrow(/system\/keys.*holds no keys that can be used.*delete it/);
    expect(textOf(server.secret)).toBe('nonsense');
  });

  it('it stops trying when it is told to', async () => {
    server.failures = [[500, 'InternalError']];
    const loading = loaded();
    await clock.untilTimer(1_000);
    end.abort(new Error('told to stop'));
    await expect(loading).rejects.toThrow('told to stop');
  });
});

describe('while it runs', () => {
  it('nothing is written when nothing is asked for', async () => {
    const { changes } = await running();
    for (let times = 0; times < 5; times++) await look(() => true);
    expect(server.writes).toBe(1);
    expect(changes).toEqual([]);
  });

  it('a new key is made when somebody asks, in the same write that takes the request away', async () => {
    const { ring, changes } = await running();
    const [old = ''] = ring.kids;
    server.annotate({ 'bullpen.dev/rotate': 'now', mine: 'stays' });
    await look(() => changes.length > 0);
    expect(ring.kids).toEqual([expect.any(String), old]);
    expect(ring.kids[0]).not.toBe(old);
    expect(server.secret?.metadata.annotations).toEqual({ mine: 'stays' });
    expect(server.writes).toBe(2);
    expect((await loaded()).kids).toEqual(ring.kids);
  });

  it('the old key goes when nobody needs it any more', async () => {
    const { ring, changes } = await running();
    const [old = ''] = ring.kids;
    kidsInUse = [new Set([old])];
    server.annotate({ 'bullpen.dev/rotate': '' });
    await look(() => changes.length === 1);
    const [fresh = ''] = ring.kids;
    for (let passed = 0; passed <= KEEP_MS; passed += LOOK_MS) await look(() => true);
    expect(ring.kids).toEqual([fresh, old]);
    kidsInUse = [new Set([fresh, old])];
    await look(() => changes.length === 2);
    expect(ring.kids).toEqual([fresh]);
  });

  it('what was sealed opens, also with the key of before, for a day after there is a newer one', async () => {
    const { ring, changes } = await running();
    const context = { namespace: 'calls', agent: 'echo', session: 'call' };
    const sealWith = async (key = ring.sealingKeys[0]): Promise<string> => {
      if (key === undefined) throw new Error('there is no key');
      return await seal({ headers: {}, body: Buffer.from('hello') }, context, key);
    };
    const before = await sealWith();
    server.annotate({ 'bullpen.dev/rotate': '' });
    await look(() => changes.length === 1);
    const after = await sealWith();
    expect(textOf(server.secret, 'sealing').match(/"kid"/g)).toHaveLength(2);
    for (const text of [before, after]) expect(await ring.open(text, context)).toMatchObject({ ok: true });
    expect(await ring.open(before, { ...context, session: 'other' })).toEqual({ ok: false, problem: 'NotForThis' });

    // In one step, and not look by look.
    clock.advance(KEEP_SEALING_MS - LOOK_MS);
    await expect.poll(() => ring.kids.length, { interval: 2 }).toBe(1);
    await clock.untilTimer(LOOK_MS);
    expect(await ring.open(before, context)).toMatchObject({ ok: true });
    await look(() => textOf(server.secret, 'sealing').match(/"kid"/g)?.length === 1);
    await expect.poll(() => ring.open(before, context)).toEqual({ ok: false, problem: 'UnknownKey' });
    expect(await ring.open(after, context)).toMatchObject({ ok: true });
  });

  it('a request for a key survives a change by somebody else at the same moment', async () => {
    const { ring, changes } = await running();
    server.annotate({ 'bullpen.dev/rotate': 'now' });
    let tries = 0;
    server.meanwhile = () => {
      tries++;
      server.annotate({ 'bullpen.dev/rotate': 'now', theirs: 'too' });
    };
    await look(() => tries > 0);
    expect(ring.kids).toHaveLength(1);
    server.meanwhile = () => undefined;
    await look(() => changes.length > 0);
    expect(ring.kids).toHaveLength(2);
    expect(server.secret?.metadata.annotations).toEqual({ theirs: 'too' });
    expect(logged.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('a Secret that was deleted is made again with a new key alone', async () => {
    const { ring, changes } = await running();
    const [old] = ring.kids;
    server.secret = undefined;
    await look(() => changes.length > 0);
    expect(ring.kids).toHaveLength(1);
    expect(ring.kids).not.toContain(old);
  });

  it('keys that somebody has put there are taken', async () => {
    const { ring, changes } = await running();
    const before = server.secret as Secret;
    server.secret = undefined;
    await look(() => changes.length === 1);
    server.put(before);
    await look(() => changes.length === 2);
    expect(ring.kids).toEqual((await loaded()).kids);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'a Secret that holds something else',
      () => server.put({ ...(server.secret as Secret), data: { ...keysData('signing', []) } }),
      /^error .*delete it for new ones/,
    ],
    ['a right that was taken away', () => (server.failures = [[403, 'Forbidden']]), /^error .*Forbidden/],
    ['an API server without an answer', () => (server.failures = [[500, 'InternalError']]), /^error .*InternalError/],
  ])('%s is reported, and the keys of before stay in use', async (_, happens, words) => {
    const { ring, changes } = await running();
    const { kids } = ring;
    happens();
    await look(() => logged.some((line) => words.test(line)));
    expect(ring.kids).toEqual(kids);
    expect(changes).toEqual([]);
    expect(server.writes).toBe(1);
  });

  it('it ends when it is told to', async () => {
    const ring = await loaded();
    const run = ring.run(end.signal);
    end.abort();
    await run;
    expect(clock.pendingTimers).toBe(0);
  });
});

it('a failure that is no answer of the API server is not tried again', async () => {
  server.api.get = () => Promise.reject(new TypeError('a bug'));
  await expect(loaded()).rejects.not.toBeInstanceOf(KubeError);
});
