import { expect, test } from 'vitest';
import type { KubeApi, PodLogs } from '../../kube/api.ts';
import type { Pod } from '../../kube/objects.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { logQuery } from './log-filter.ts';
import { LogReader, type Logs } from './log-reader.ts';

const pod = {
  metadata: { name: 'p', namespace: 'calls', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
} as Pod;

/** A reader of a pod with these lines. */
function readerOf(texts: Iterable<string>) {
  let asked = 0;
  const api = { list: () => Promise.resolve({ items: [pod], resourceVersion: '1' }) } as unknown as KubeApi;
  const logs: PodLogs = {
    // eslint-disable-next-line @typescript-eslint/require-await -- logs are read from a node
    async *podLog() {
      asked += 1;
      for (const text of texts) yield { timestamp: '2026-01-01T00:00:00Z', text };
    },
  };
  const stopping = new AbortController().signal;
  const reader = new LogReader({ api, logs, clock: new FakeClock(), stopping });
  const read = (query: Record<string, string>, taken = new AbortController().signal): Promise<Logs> => {
    const selection = { find: () => undefined, defaultLimit: 10 };
    return reader.read({ namespace: 'calls', agent: 'echo' }, logQuery.parse(query), selection, taken);
  };
  return { read, asked: () => asked };
}

test('a log is read when an answer before it has been taken, and not when that has been made', async () => {
  const { read, asked } = readerOf(['one']);
  const taken = new AbortController();
  await Promise.all([read({}), read({}, taken.signal)]);
  const third = read({});
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked()).toBe(2);
  taken.abort();
  expect((await third).logs).toHaveLength(1);
});

test('a page that is too large says so, and how many lines there are all the same', async () => {
  const { read } = readerOf(Array.from({ length: 40 }, () => '語'.repeat(100_000)));
  const { logs, total, truncated } = await read({ limit: '40' });
  expect(truncated).toBe(true);
  expect(logs.length).toBe(27);
  expect(total).toEqual({ value: 40, relation: 'eq' });
});

test('of a log only so many bytes are read', async () => {
  const { read } = readerOf(Array.from({ length: 400 }, () => '語'.repeat(80_000)));
  const { total, truncated } = await read({});
  expect(truncated).toBe(true);
  expect(total).toEqual({ value: 279, relation: 'gte' });
});
