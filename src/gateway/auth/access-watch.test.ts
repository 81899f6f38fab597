import { describe, expect, it } from 'vitest';
import type { ApiKey } from '../../api/api-key.ts';
import { apiKeyOf } from '../../keys/api-key.ts';
import { Store } from '../../kube/store.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { keyIndexes, KeyStore } from '../keys/key-store.ts';
import { AccessWatch } from './access-watch.ts';
import { Authenticator, type Demand } from './authenticator.ts';

const demand: Demand = { plane: 'organization', organization: 'calls', access: { verb: 'list', resource: 'sessions' } };

function keyOf(text: string, version: string, revoked: boolean): ApiKey {
  const { metadata, ...rest } = apiKeyOf(text, 'Private', text);
  const { name = '' } = metadata;
  const stored = { name, namespace: 'calls', uid: text, resourceVersion: version, creationTimestamp: '' };
  return { ...rest, spec: { ...rest.spec, revoked }, metadata: stored } as ApiKey;
}

function setUp(review: () => Promise<{ kind: 'user'; name: string; groups: string[] } | undefined>) {
  const store = new Store<ApiKey>({ indexes: keyIndexes });
  store.replaceAll([keyOf('sk_one', '1', false), keyOf('sk_other', '1', false)], '1');
  const keys = new KeyStore(store);
  const clock = new FakeClock();
  const authenticator = new Authenticator({ keys, tokens: { review, allows: () => Promise.resolve(true) } });
  return { store, clock, watch: new AccessWatch({ authenticator, keys, clock }) };
}

const user = { kind: 'user' as const, name: 'ann', groups: [] };

describe('access', () => {
  it('of a key is lost in the moment in which it is revoked, and not when another is', async () => {
    const { store, watch } = setUp(() => Promise.resolve(undefined));
    const lost = watch.lost('Bearer sk_one', demand, new AbortController().signal);
    store.applyWatch('MODIFIED', keyOf('sk_other', '2', true));
    await expect(Promise.race([lost, new Promise((resolve) => setImmediate(resolve))])).resolves.toBeUndefined();
    store.applyWatch('MODIFIED', keyOf('sk_one', '3', true));
    await expect(lost).resolves.toMatchObject({ kind: 'Unauthorized' });
  });

  it('of a token is lost when Kubernetes, asked again, does not take it; not when Kubernetes cannot be asked', async () => {
    const answers = [
      () => Promise.reject(new Error('away')),
      () => Promise.resolve(user),
      () => Promise.resolve(undefined),
    ];
    const { clock, watch } = setUp(() => (answers.shift() ?? (() => Promise.resolve(undefined)))());
    const lost = watch.lost('Bearer token', demand, new AbortController().signal);
    for (const left of [2, 1, 0]) {
      await expect.poll(() => answers.length).toBe(left);
      await clock.untilTimer(15_000);
      if (left > 0) clock.advance(15_000);
    }
    await expect(lost).resolves.toMatchObject({ kind: 'Unauthorized' });
    expect(answers).toEqual([]);
  });

  it('is not watched any more when nobody wants to know', async () => {
    const { watch } = setUp(() => Promise.resolve(undefined));
    const stop = new AbortController();
    const lost = watch.lost('Bearer sk_one', demand, stop.signal);
    stop.abort(new Error('gone'));
    await expect(lost).rejects.toThrow('gone');
  });
});
