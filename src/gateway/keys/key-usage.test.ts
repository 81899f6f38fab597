import { describe, expect, it } from 'vitest';
import type { ApiKey } from '../../api/api-key.ts';
import type { KubeApi } from '../../kube/api.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { KeyUsage } from './key-usage.ts';

const MINUTE = 60_000;

function keyOf(name: string, lastUsedAt?: string): ApiKey {
  return {
    metadata: { name, namespace: 'calls', uid: name },
    ...(lastUsedAt !== undefined && { status: { lastUsedAt } }),
  } as unknown as ApiKey;
}

function play() {
  const clock = new FakeClock('2026-01-01T00:00:00Z');
  const notes: string[] = [];
  const api = {
    patch: (_resource: unknown, { name }: { name: string }, { body }: { body: { status: { lastUsedAt: string } } }) => {
      notes.push(`${name} ${body.status.lastUsedAt}`);
      return Promise.resolve();
    },
  } as unknown as KubeApi;
  const logger = { warn: () => undefined } as never;
  const usage = new KeyUsage({ api, clock, logger });
  const stop = new AbortController();
  return { clock, notes, usage, stop, done: usage.run(stop.signal) };
}

describe('the last use of a key', () => {
  it('is noted, and once for any number of requests', async () => {
    const { clock, notes, usage } = play();
    for (let count = 0; count < 1000; count += 1) usage.used(keyOf('a'));
    await clock.advanceAsync(5 * MINUTE);
    expect(notes).toEqual(['a 2026-01-01T00:00:00.000Z']);
  });

  it('is not noted again before ten minutes have passed', async () => {
    const { clock, notes, usage } = play();
    const noted = keyOf('a', '2026-01-01T00:00:00.000Z');
    for (let minute = 0; minute < 15; minute += 1) {
      usage.used(noted);
      await clock.advanceAsync(MINUTE);
    }
    expect(notes[0]).toBe('a 2026-01-01T00:10:00.000Z');
  });

  it('is nobody’s business when the process ends', async () => {
    const { clock, notes, usage, stop, done } = play();
    usage.used(keyOf('a'));
    stop.abort();
    await clock.advanceAsync(5 * MINUTE);
    await done;
    expect(notes).toEqual([]);
  });
});
