import { describe, expect, it } from 'vitest';
import type { Session } from '../../api/session.ts';
import { EPOCH, makeSession } from '../../api/testing/objects.ts';
import type { Retry } from './idempotency.ts';
import { nameOf } from './retry-name.ts';

const retry: Retry = { name: (attempt) => `name-${String(attempt)}`, fingerprint: '', isFor: () => true };
const NOW = EPOCH + 3_600_000;

function aged(name: string, minutes: number, phase: 'Running' | 'Rejected' = 'Running'): Session {
  const creationTimestamp = new Date(NOW - minutes * 60_000).toISOString();
  return makeSession(name, { metadata: { creationTimestamp }, status: { phase } });
}

function among(...there: Session[]) {
  return nameOf(retry, (name) => there.find(({ metadata }) => metadata.name === name), NOW);
}

describe('the name of the Session of a key', () => {
  it('is the first, when there is none', () => {
    expect(among()).toEqual({ name: 'name-0', over: [] });
  });

  it('is that of the one in its window', () => {
    expect(among(aged('name-0', 10))).toEqual({ name: 'name-0', over: [] });
  });

  it('is the next when the window is over, and says what holds those before', () => {
    const over = [aged('name-0', 40), aged('name-1', 11)];
    expect(among(...over)).toEqual({ name: 'name-2', over });
  });

  it('is that of the one in its window also when one before has become free', () => {
    expect(among(aged('name-1', 9))).toEqual({ name: 'name-1', over: [] });
    expect(among(aged('name-0', 40), aged('name-2', 9))).toEqual({ name: 'name-2', over: [] });
  });

  it('is that of the one that is being made', () => {
    const found = nameOf(retry, (name) => (name === 'name-1' ? 'making' : undefined), NOW);
    expect(found).toEqual({ name: 'name-1', over: [] });
  });

  it('is not kept by one that was refused', () => {
    expect(among(aged('name-1', 1, 'Rejected'))).toEqual({ name: 'name-0', over: [] });
    expect(among(aged('name-0', 20, 'Rejected'))).toEqual({ name: 'name-0', over: [] });
  });

  it('is none when as many are held as are looked at', () => {
    expect(among(...Array.from({ length: 32 }, (_, attempt) => aged(retry.name(attempt), 20)))).toBeUndefined();
  });
});
