import { describe, expect, it } from 'vitest';
import type { ApiKey, ApiKeyType } from '../../api/api-key.ts';
import { apiKeyOf } from '../../keys/api-key.ts';
import { Store } from '../../kube/store.ts';
import { keyIndexes, KeyStore } from '../keys/key-store.ts';
import { Authenticator, type Demand, type TokenReviewer } from './authenticator.ts';

const REVOKED = 'sk_revoked';
const user = { kind: 'user', name: 'jo', groups: [] } as const;

function play({ allowed = true }: { allowed?: boolean } = {}) {
  const store = new Store<ApiKey>({ indexes: keyIndexes });
  const make = (text: string, type: ApiKeyType, revoked: boolean): ApiKey => {
    const { spec } = apiKeyOf(text, type, '');
    const metadata = { name: text, namespace: 'calls', uid: text, resourceVersion: '1', creationTimestamp: '' };
    return { spec: { ...spec, revoked }, metadata } as ApiKey;
  };
  store.replaceAll([make('sk_good', 'Private', false), make(REVOKED, 'Private', true)], '1');
  const asked: string[] = [];
  const tokens: TokenReviewer = {
    review: (token, admit) => {
      admit?.();
      asked.push(token);
      return Promise.resolve(token === 'a.b.c' ? user : undefined);
    },
    allows: (_user, { verb, resource, namespace }) => {
      asked.push(`${verb} ${resource} ${namespace}`);
      return Promise.resolve(allowed);
    },
  };
  const authenticator = new Authenticator({ keys: new KeyStore(store), tokens });
  const demand: Demand = {
    plane: 'organization',
    organization: 'calls',
    access: { verb: 'get', resource: 'agents' },
  };
  const as = async (token: string, more: Partial<Demand> = {}, admit = (): void => undefined): Promise<unknown> =>
    await authenticator.authenticate(`Bearer ${token}`, { ...demand, ...more }, admit);
  return { as, asked };
}

const refusedWith = (status: number) => expect.objectContaining({ status }) as Error;

describe('a key', () => {
  it('of ours that opens nothing is told to nobody else', async () => {
    const { as, asked } = play();
    for (const key of [REVOKED, 'sk_wrong', 'pk_wrong', 'pcc_pat_wrong'])
      await expect(as(key)).rejects.toThrow(refusedWith(401));
    expect(asked).toEqual([]);
  });
});

describe('a token of Kubernetes', () => {
  it('does what its owner may do in that namespace', async () => {
    const { as, asked } = play();
    expect(await as('a.b.c')).toEqual({ principal: user, organization: 'calls' });
    expect(asked).toEqual(['a.b.c', 'get agents calls']);
    await expect(play({ allowed: false }).as('a.b.c')).rejects.toThrow(refusedWith(403));
  });

  it('is nothing where only keys count, and nobody is asked about it', async () => {
    const { as, asked } = play();
    for (const plane of ['public', 'private'] as const)
      await expect(as('a.b.c', { plane, organization: undefined })).rejects.toThrow(refusedWith(401));
    expect(asked).toEqual([]);
  });

  it('opens nothing where a route does not say which right it asks for, or in which namespace', async () => {
    const { as } = play();
    await expect(as('a.b.c', { access: undefined })).rejects.toThrow(refusedWith(401));
    await expect(as('a.b.c', { organization: undefined })).rejects.toThrow(refusedWith(401));
  });

  it.each(['', '.', '..', 'a/b', 'A', '*', 'a'.repeat(64)])(
    'finds no organization called "%s"',
    async (organization) => {
      const { as, asked } = play();
      await expect(as('a.b.c', { organization })).rejects.toThrow(refusedWith(404));
      expect(asked).toEqual(['a.b.c']);
    },
  );

  it('is no question to Kubernetes where none is admitted', async () => {
    const { as, asked } = play();
    const admit = (): void => {
      throw new Error('too many');
    };
    await expect(as('a.b.c', {}, admit)).rejects.toThrow('too many');
    expect(asked).toEqual([]);
  });
});
