import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Secret } from '../../kube/objects.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { KeyKeeper } from './key-keeper.ts';
import { keysData } from './key-set.ts';
import { KEEP_MS } from './plan-keys.ts';
import { SecretServer } from './testing/secret-server.ts';

/** Keys for one purpose alone, as the gateway's are; what holds for all is in key-ring.test.ts. */
const LOOK_MS = 30_000;

let clock: FakeClock;
let server: SecretServer;
let kidsInUse: ReadonlySet<string>[];
let end: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  server = new SecretServer();
  kidsInUse = [];
  end = new AbortController();
});

afterEach(() => end.abort());

async function loaded(): Promise<KeyKeeper<'signing'>> {
  const ignore = () => undefined;
  const keeper = new KeyKeeper({
    api: server.api,
    secret: { namespace: 'system', name: 'keys' },
    purposes: ['signing'],
    kidsInUse: () => kidsInUse,
    clock,
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  await keeper.load(end.signal);
  return keeper;
}

const kidsOf = (keeper: KeyKeeper<'signing'>): string[] => keeper.publicKeys('signing').map(({ kid }) => kid);

it('keys are made for what the Secret is for, and for nothing else', async () => {
  const keeper = await loaded();
  expect(Object.keys(server.secret?.data ?? {})).toEqual(['keys.json']);
  expect(keeper.publicKeys('signing')).toMatchObject([{ kty: 'OKP', crv: 'Ed25519' }]);
  expect(kidsOf(await loaded())).toEqual(kidsOf(keeper));
  expect(server.writes).toBe(1);
});

it('nothing is put into a Secret that is not for keys, or for others', async () => {
  server.put({ metadata: { name: 'keys' } as Secret['metadata'], data: keysData('sealing', []) });
  await expect(loaded()).rejects.toThrow(/holds no keys that can be used \(keys\.json\)/);
  expect(server.writes).toBe(0);
});

it('a key that was asked for comes first, and the old one goes when no pod depends on it', async () => {
  const keeper = await loaded();
  const [old = ''] = kidsOf(keeper);
  kidsInUse = [new Set(['of the controller', old])];
  const changes: string[] = [];
  keeper.onChanged((purpose) => changes.push(purpose));
  void keeper.run(end.signal);
  server.annotate({ 'bullpen.dev/rotate': 'now' });
  const look = async (count: number): Promise<void> => {
    await clock.advanceAsync(LOOK_MS);
    await expect.poll(() => kidsOf(keeper).length, { interval: 2 }).toBe(count);
    await clock.untilTimer(LOOK_MS);
  };
  await look(2);
  expect(kidsOf(keeper)[1]).toBe(old);
  clock.advance(KEEP_MS);
  await clock.untilTimer(LOOK_MS);
  await look(2);
  // Pods made by a version that trusted none of these do not count.
  kidsInUse = [new Set(['of the controller'])];
  await look(1);
  expect(kidsOf(keeper)).not.toContain(old);
  expect(changes).toEqual(['signing', 'signing']);
});
