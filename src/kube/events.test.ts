import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import type { KubeApi } from './api.ts';
import { KubeError } from './errors.ts';
import { EventRecorder, referenceTo, type EventNote } from './events.ts';
import { KubeMetrics } from './metrics.ts';
import type { KubeEvent } from './objects.ts';
import { pods } from './resources.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { testObject } from './testing/objects.ts';

let clock: FakeClock;
let registry: Registry;
let recorder: EventRecorder;
let created: KubeEvent[];
let patched: { name: string; body: unknown }[];
/** What the next writes do instead of succeeding. */
let failWith: KubeError | undefined;
let held: Promise<unknown>;

beforeEach(() => {
  clock = new FakeClock();
  registry = new Registry();
  created = [];
  patched = [];
  failWith = undefined;
  held = Promise.resolve();
  const api = {
    create: async (_resource: unknown, _namespace: string, body: KubeEvent) => {
      await held;
      if (failWith !== undefined) throw failWith;
      created.push(body);
      return body;
    },
    patch: async (_resource: unknown, { name }: { name: string }, { body }: { body: unknown }) => {
      await held;
      if (failWith !== undefined) throw failWith;
      patched.push({ name, body });
      return body;
    },
  } as unknown as KubeApi;
  const metrics = new KubeMetrics(registry);
  recorder = new EventRecorder({ api, controller: 'test.dev/controller', instance: 'pod-1', clock, metrics });
});

function note(more: Partial<EventNote> = {}): EventNote {
  return {
    regarding: referenceTo(pods, testObject('p', 7)),
    type: 'Warning',
    reason: 'Failed',
    action: 'Start',
    note: 'it failed',
    ...more,
  };
}

async function outcomes(): Promise<string[]> {
  const text = await registry.metrics();
  return text.split('\n').filter((line) => line.startsWith('bullpen_kubernetes_events_total'));
}

it('writes what kubectl describe shows', async () => {
  recorder.event(note());
  await clock.advanceAsync(0);
  expect(created).toEqual([
    {
      metadata: { name: expect.stringMatching(/^p\.[0-9a-f]+$/) as string, namespace: 'ns' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'test.dev/controller',
      reportingInstance: 'pod-1',
      type: 'Warning',
      reason: 'Failed',
      action: 'Start',
      note: 'it failed',
      regarding: { apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: 'ns', uid: 'uid-p', resourceVersion: '7' },
    },
  ]);
  expect(await outcomes()).toEqual(['bullpen_kubernetes_events_total{outcome="written"} 1']);
});

it('writes Events about cluster-scoped objects to the default namespace', async () => {
  recorder.event(note({ regarding: { kind: 'Node', name: 'n' } }));
  await clock.advanceAsync(0);
  expect(created[0]?.metadata.namespace).toBe('default');
});

it('keeps to the limits of the API, without half a character at the end', async () => {
  recorder.event(note({ note: '€'.repeat(1000), regarding: { name: 'n'.repeat(300) } }));
  await clock.advanceAsync(0);
  const [event] = created;
  expect(Buffer.byteLength(event?.note ?? '')).toBeLessThanOrEqual(1024);
  expect(event?.note).toMatch(/^€+…$/);
  expect(event?.metadata.name.length).toBeLessThanOrEqual(253);
});

describe('what repeats', () => {
  it('is counted in the series of one Event, written once a minute', async () => {
    for (let i = 0; i < 5; i++) {
      recorder.event(note());
      await clock.advanceAsync(1000);
    }
    expect([created.length, patched.length]).toEqual([1, 0]);
    await clock.advanceAsync(60_000);
    expect(patched).toEqual([
      {
        name: created[0]?.metadata.name,
        body: { series: { count: 5, lastObservedTime: '2026-01-01T00:00:04.000000Z' } },
      },
    ]);
    await clock.advanceAsync(120_000);
    expect(patched).toHaveLength(1);
  });

  it('is a new Event after six silent minutes, or with another text', async () => {
    recorder.event(note());
    recorder.event(note({ note: 'it failed otherwise' }));
    await clock.advanceAsync(6 * 60_000);
    recorder.event(note());
    await clock.advanceAsync(0);
    expect(created).toHaveLength(3);
    expect(new Set(created.map(({ metadata }) => metadata.name)).size).toBe(3);
  });

  it('is written to the end at stop', async () => {
    recorder.event(note());
    recorder.event(note());
    await recorder.stop();
    expect(patched).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
    recorder.event(note({ note: 'late' }));
    expect(await outcomes()).toContain('bullpen_kubernetes_events_total{outcome="dropped"} 1');
  });

  it('of an Event that has expired is forgotten quietly', async () => {
    recorder.event(note());
    await clock.advanceAsync(0);
    recorder.event(note());
    failWith = new KubeError('gone', { code: 404, reason: 'NotFound', outcome: 'refused' });
    await clock.advanceAsync(60_000);
    failWith = undefined;
    await clock.advanceAsync(60_000);
    expect(patched).toHaveLength(0);
    expect(await outcomes()).not.toContain('bullpen_kubernetes_events_total{outcome="failed"} 1');
  });
});

describe('under pressure', () => {
  it('one object cannot flood: 25 at once, then one in five minutes', async () => {
    for (let i = 0; i < 30; i++) recorder.event(note({ note: `failure ${i}` }));
    await clock.advanceAsync(0);
    expect(created).toHaveLength(25);
    await clock.advanceAsync(5 * 60_000);
    recorder.event(note({ note: 'one more' }));
    recorder.event(note({ note: 'too many' }));
    recorder.event(note({ regarding: { name: 'other' } }));
    await clock.advanceAsync(0);
    expect(created).toHaveLength(27);
    expect(await outcomes()).toContain('bullpen_kubernetes_events_total{outcome="dropped"} 6');
  });

  it('a slow server does not fill the memory', async () => {
    const release = Promise.withResolvers<undefined>();
    held = release.promise;
    for (let i = 0; i < 1100; i++) recorder.event(note({ regarding: { name: `p${i}` } }));
    release.resolve(undefined);
    await recorder.stop();
    expect(created).toHaveLength(1001);
    expect(await outcomes()).toContain('bullpen_kubernetes_events_total{outcome="dropped"} 99');
  });

  it('a refused Event is counted, and the next one written', async () => {
    failWith = new KubeError('no', { code: 403, reason: 'Forbidden', outcome: 'refused' });
    recorder.event(note());
    await clock.advanceAsync(0);
    failWith = undefined;
    recorder.event(note({ note: 'another' }));
    await clock.advanceAsync(0);
    expect(created).toHaveLength(1);
    expect(await outcomes()).toContain('bullpen_kubernetes_events_total{outcome="failed"} 1');
  });
});
