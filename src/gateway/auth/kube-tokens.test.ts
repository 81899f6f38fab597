import { describe, expect, it } from 'vitest';
import type { KubeApi } from '../../kube/api.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { KubeTokens } from './kube-tokens.ts';

const access = { verb: 'list', resource: 'agents', namespace: 'calls' };
const extra = { 'scopes.example/scopes': ['read-only'] };

function play() {
  const clock = new FakeClock('2026-01-01T00:00:00Z');
  const asked: Record<string, unknown>[] = [];
  let answer: () => Promise<unknown> = () => Promise.resolve({ authenticated: true, user: { username: 'jo', extra } });
  const api = {
    create: async (_resource: unknown, _namespace: unknown, { spec }: { spec: Record<string, unknown> }) => {
      asked.push(spec);
      return { status: await answer() };
    },
  } as unknown as KubeApi;
  const answers = (next: () => Promise<unknown>): void => void (answer = next);
  return { clock, asked, answers, tokens: new KubeTokens({ api, clock }) };
}

describe('what Kubernetes says of a token', () => {
  it('is asked once in ten seconds, and what it refused to say is asked again', async () => {
    const { clock, asked, answers, tokens } = play();
    answers(() => Promise.reject(new Error('no answer')));
    await expect(tokens.review('t')).rejects.toThrow('no answer');
    answers(() => Promise.resolve({ authenticated: true, user: { username: 'jo', groups: ['a'] } }));
    for (let count = 0; count < 3; count += 1)
      expect(await tokens.review('t')).toEqual({ kind: 'user', name: 'jo', groups: ['a'] });
    expect(asked).toHaveLength(2);
    await clock.advanceAsync(10_000);
    answers(() => Promise.resolve({ authenticated: false }));
    expect(await tokens.review('t')).toBeUndefined();
  });

  it('goes with every question of what its owner may do: there are tokens that give less than that', async () => {
    const { asked, answers, tokens } = play();
    const user = await tokens.review('t');
    answers(() => Promise.resolve({ allowed: true }));
    if (user === undefined) throw new Error('nobody');
    expect(await tokens.allows(user, access)).toBe(true);
    expect(asked[1]).toMatchObject({ user: 'jo', extra, resourceAttributes: access });
    // The same user by a token that says something else is another question.
    answers(() => Promise.resolve({ allowed: false }));
    expect(await tokens.allows({ ...user, extra: {} }, access)).toBe(false);
    expect(await tokens.allows(user, access)).toBe(true);
  });

  it('is asked only if that is admitted; what is known is not asked', async () => {
    const { asked, tokens } = play();
    const none = (): void => {
      throw new Error('too many');
    };
    await expect(tokens.review('t', none)).rejects.toThrow('too many');
    expect(asked).toEqual([]);
    await tokens.review('t');
    expect(await tokens.review('t', none)).toMatchObject({ name: 'jo' });
  });
});
