import { describe, expect, it } from 'vitest';
import type { ApiKey } from '../../api/api-key.ts';
import { apiKeyOf, MAX_KEY_LENGTH } from '../../keys/api-key.ts';
import { Store } from '../../kube/store.ts';
import { keyIndexes, KeyStore } from './key-store.ts';

const KEY = 'pk_in-an-app';

interface Made {
  namespace: string;
  second: number;
  revoked?: boolean;
  name?: string;
}

function storeOf(...made: Made[]): KeyStore {
  const store = new Store<ApiKey>({ indexes: keyIndexes });
  const objects = made.map(({ namespace, second, revoked = false, name = 'key' }) => {
    const { spec } = apiKeyOf(KEY, 'Public', '');
    const creationTimestamp = `2026-01-01T00:00:0${second}Z`;
    const metadata = { name, namespace, uid: `${namespace}/${name}`, resourceVersion: '1', creationTimestamp };
    return { spec: { ...spec, revoked }, metadata } as ApiKey;
  });
  store.replaceAll(objects, '1');
  return new KeyStore(store);
}

const ownerOf = (...made: Made[]): string | undefined => storeOf(...made).find(KEY)?.metadata.namespace;

describe('a key', () => {
  const ours = { namespace: 'ours', second: 1 };
  const copy = { namespace: 'a-neighbour', second: 2 };

  it('that somebody has copied into a namespace of theirs stays where it was', () => {
    expect(ownerOf(ours, copy)).toBe('ours');
    expect(ownerOf(copy, ours)).toBe('ours');
  });

  it('that is revoked is not good again by a copy elsewhere', () => {
    expect(ownerOf({ ...ours, revoked: true }, copy)).toBeUndefined();
  });

  it('of which nobody can tell whose it was first opens nothing', () => {
    expect(ownerOf(ours, { ...copy, second: 1 })).toBeUndefined();
  });

  it('with two objects in its namespace is good while one of them is', () => {
    const other = { ...ours, name: 'other', second: 3 };
    expect(ownerOf({ ...ours, revoked: true }, other)).toBe('ours');
    expect(ownerOf({ ...ours, revoked: true }, { ...other, revoked: true })).toBeUndefined();
  });

  it('is looked for only where it may be one', () => {
    expect(storeOf(ours).find('x'.repeat(MAX_KEY_LENGTH + 1))).toBeUndefined();
  });
});
