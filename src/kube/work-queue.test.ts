import fc from 'fast-check';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import { KubeMetrics } from './metrics.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { WorkQueue, type WorkQueueOptions } from './work-queue.ts';

let clock: FakeClock;
let queue: WorkQueue;

beforeEach(() => {
  clock = new FakeClock();
  queue = queueWith({});
});

function queueWith(options: Partial<WorkQueueOptions>): WorkQueue {
  return new WorkQueue({ name: 'test', clock, ...options });
}

/** Everything that is in line, taken and done with. */
async function drain(): Promise<string[]> {
  const keys: string[] = [];
  while (queue.length > 0) {
    const key = (await queue.get()) ?? '';
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

describe('keys', () => {
  it('come out in the order they went in, once however often they were added', async () => {
    for (const key of ['b', 'a', 'b', 'c', 'a']) queue.add(key);
    expect(queue.length).toBe(3);
    expect(await drain()).toEqual(['b', 'a', 'c']);
  });

  it('that are added while in work come again, after they are done', async () => {
    queue.add('a');
    expect(await queue.get()).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await drain()).toEqual(['a']);
  });

  it('wake one waiting worker each', async () => {
    const first = queue.get();
    const second = queue.get();
    queue.add('a');
    queue.add('b');
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });

  it('are not lost when the worker that they woke gives up', async () => {
    const controller = new AbortController();
    const first = queue.get(controller.signal);
    const second = queue.get();
    queue.add('a');
    controller.abort();
    expect(await first).toBeUndefined();
    expect(await second).toBe('a');
  });

  it('are never with two workers at once, and each add is followed by a look that starts after it', async () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('add' as const), key: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ do: fc.constantFrom('get' as const, 'done' as const), key: fc.constant('') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        queue = queueWith({});
        const working: string[] = [];
        const due = new Set<string>();
        const take = async (): Promise<void> => {
          const key = (await queue.get()) ?? '';
          expect(working).not.toContain(key);
          expect(due.delete(key)).toBe(true);
          working.push(key);
        };
        for (const { do: what, key } of commands) {
          if (what === 'add') due.add(key);
          if (what === 'add') queue.add(key);
          else if (what === 'get' && queue.length > 0) await take();
          else if (what === 'done') queue.done(working.shift() ?? '');
        }
        while (working.length > 0) queue.done(working.shift() ?? '');
        while (queue.length > 0) await take();
        expect(due.size).toBe(0);
      }),
    );
  });
});

describe('later', () => {
  it('forgets when a key was to come as soon as it is looked at for another reason', async () => {
    queue.addAfter('a', 7_200_000);
    queue.add('a');
    expect(await drain()).toEqual(['a']);
    clock.advance(7_200_000);
    expect(await drain()).toEqual([]);
  });

  it('keeps a time that is set while the key is being looked at', async () => {
    queue.add('a');
    const key = (await queue.get()) ?? '';
    queue.addAfter(key, 1000);
    queue.done(key);
    clock.advance(1000);
    expect(await drain()).toEqual(['a']);
  });

  it('the earliest of several times counts', async () => {
    queue.addAfter('a', 1000);
    queue.addAfter('a', 300);
    queue.addAfter('a', 500);
    clock.advance(299);
    expect(queue.length).toBe(0);
    clock.advance(1);
    expect(await drain()).toEqual(['a']);
    clock.advance(10_000);
    expect(queue.length).toBe(0);
    queue.addAfter('now', 0);
    expect(await drain()).toEqual(['now']);
  });
});

describe('after failures', () => {
  it('a key comes later each time, at most after the longest delay, until it is forgotten', async () => {
    queue = queueWith({ maxDelayMs: 30 });
    for (const delay of [5, 10, 20, 30, 30]) {
      queue.addRateLimited('a');
      clock.advance(delay - 1);
      expect(queue.length).toBe(0);
      clock.advance(1);
      expect(await drain()).toEqual(['a']);
    }
    expect(queue.numRequeues('a')).toBe(5);
    queue.forget('a');
    expect(queue.numRequeues('a')).toBe(0);
    queue.addRateLimited('a');
    clock.advance(5);
    expect(queue.length).toBe(1);
  });

  it('delays do not overflow after very many failures', () => {
    for (let i = 0; i < 2000; i++) queue.addRateLimited('a');
    expect(queue.numRequeues('a')).toBe(2000);
    clock.advance(5 * 60_000);
    expect(queue.length).toBe(1);
  });

  it('all keys together are limited after a burst, and recover with time', () => {
    queue = queueWith({ retryBurst: 2, retriesPerSecond: 10 });
    for (const key of ['a', 'b', 'c', 'd']) queue.addRateLimited(key);
    clock.advance(5);
    expect(queue.length).toBe(2);
    clock.advance(95);
    expect(queue.length).toBe(3);
    clock.advance(100);
    expect(queue.length).toBe(4);
  });
});

describe('shut down', () => {
  it('hands out what is in line, drops what was to come later, and takes nothing more', async () => {
    queue.add('a');
    queue.addAfter('later', 100);
    queue.shutDown();
    queue.add('b');
    queue.addRateLimited('c');
    expect(await queue.get()).toBe('a');
    expect(await queue.get()).toBeUndefined();
    expect(clock.pendingTimers).toBe(0);
  });

  it('wakes all waiting workers', async () => {
    const waiting = [queue.get(), queue.get()];
    queue.shutDown();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
  });
});

it('is measured as client-go does', async () => {
  const registry = new Registry();
  queue = queueWith({ metrics: new KubeMetrics(registry) });
  queue.add('a');
  clock.advance(2000);
  await queue.get();
  queue.add('b');
  queue.addRateLimited('b');
  clock.advance(3000);
  const text = await registry.metrics();
  for (const line of [
    'workqueue_depth{name="test"} 1',
    'workqueue_adds_total{name="test"} 2',
    'workqueue_retries_total{name="test"} 1',
    'workqueue_queue_duration_seconds_sum{name="test"} 2',
    'workqueue_unfinished_work_seconds{name="test"} 3',
    'workqueue_longest_running_processor_seconds{name="test"} 3',
  ]) {
    expect(text).toContain(line);
  }
  queue.done('a');
  expect(await registry.metrics()).toContain('workqueue_work_duration_seconds_sum{name="test"} 3');
});
