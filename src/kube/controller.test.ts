import { Registry } from 'prom-client';
import { beforeEach, expect, it } from 'vitest';
import { Controller, TerminalError, type Reconcile } from './controller.ts';
import { KubeMetrics } from './metrics.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { WorkQueue } from './work-queue.ts';

let clock: FakeClock;
let queue: WorkQueue;
let registry: Registry;
let stop: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  registry = new Registry();
  stop = new AbortController();
  queue = new WorkQueue({ name: 'test', clock });
});

function run(reconcile: Reconcile, concurrency = 1): Promise<void> {
  const metrics = new KubeMetrics(registry);
  return new Controller({ name: 'test', queue, reconcile, concurrency, clock, metrics }).run(stop.signal);
}

it('reconciles different keys at once, up to its concurrency, and never one key twice at once', async () => {
  const started: string[] = [];
  const gates = new Map<string, () => void>();
  void run(async (key) => {
    started.push(key);
    await new Promise<void>((resolve) => gates.set(key, resolve));
  }, 2);
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await clock.advanceAsync(0);
  queue.add('a');
  await clock.advanceAsync(0);
  expect(started).toEqual(['a', 'b']);
  expect(await registry.metrics()).toContain('controller_runtime_active_workers{controller="test"} 2');
  gates.get('b')?.();
  await clock.advanceAsync(0);
  expect(started).toEqual(['a', 'b', 'c']);
  gates.get('a')?.();
  await clock.advanceAsync(0);
  expect(started).toEqual(['a', 'b', 'c', 'a']);
});

it('comes back to a failed key later each time, and forgets its failures when it succeeds', async () => {
  const times: number[] = [];
  void run(() => {
    times.push(clock.monotonic());
    return times.length < 4 ? Promise.reject(new Error('no')) : Promise.resolve();
  });
  queue.add('a');
  await clock.advanceAsync(1000);
  expect(times).toEqual([0, 5, 15, 35]);
  expect(queue.numRequeues('a')).toBe(0);
});

it('also survives a reconciliation that throws before it returns a promise', async () => {
  let calls = 0;
  void run(() => {
    calls++;
    throw new Error('at once');
  });
  queue.add('a');
  await clock.advanceAsync(5);
  expect(calls).toBe(2);
});

it('comes back when a result asks for it', async () => {
  const times: number[] = [];
  void run(() => {
    times.push(clock.monotonic());
    return Promise.resolve(times.length < 3 ? { requeueAfterMs: 100 } : undefined);
  });
  queue.add('a');
  await clock.advanceAsync(1000);
  expect(times).toEqual([0, 100, 200]);
});

it('does not come back after a terminal error', async () => {
  let calls = 0;
  void run(() => {
    calls++;
    return Promise.reject(new TerminalError('for good'));
  });
  queue.add('a');
  await clock.advanceAsync(3_600_000);
  expect(calls).toBe(1);
  queue.add('a');
  await clock.advanceAsync(0);
  expect(calls).toBe(2);
});

it('stops without taking more keys, and when the running reconciliations are over', async () => {
  let finish = (): void => undefined;
  let aborted: AbortSignal | undefined;
  const running = run(async (_key, signal) => {
    aborted = signal;
    await new Promise<void>((resolve) => (finish = resolve));
  });
  queue.add('a');
  queue.add('b');
  await clock.advanceAsync(0);
  stop.abort();
  expect(aborted?.aborted).toBe(true);
  let stopped = false;
  void running.then(() => (stopped = true));
  await clock.advanceAsync(0);
  expect(stopped).toBe(false);
  finish();
  await running;
  expect(queue.length).toBe(1);
});

it('counts results as controller-runtime does; an end by shutdown is no failure', async () => {
  const running = run((key, signal) => {
    if (key === 'bad') return Promise.reject(new Error('no'));
    if (key === 'terminal') return Promise.reject(new TerminalError('no'));
    if (key === 'again') return Promise.resolve({ requeueAfterMs: 1_000_000 });
    if (key === 'last') {
      stop.abort();
      return Promise.reject(signal.reason as Error);
    }
    return Promise.resolve();
  });
  for (const key of ['good', 'bad', 'terminal', 'again']) queue.add(key);
  await clock.advanceAsync(0);
  queue.add('last');
  await running;
  const text = await registry.metrics();
  for (const line of [
    'controller_runtime_reconcile_total{controller="test",result="success"} 1',
    'controller_runtime_reconcile_total{controller="test",result="requeue_after"} 1',
    'controller_runtime_reconcile_errors_total{controller="test"} 2',
    'controller_runtime_terminal_reconcile_errors_total{controller="test"} 1',
    'controller_runtime_max_concurrent_reconciles{controller="test"} 1',
    'controller_runtime_active_workers{controller="test"} 0',
  ]) {
    expect(text).toContain(line);
  }
});
