import { describe, expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { Store } from '../kube/store.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { agentIndexes, podIndexes, sessionIndexes, type Caches } from './caches.ts';
import { planRetention, RetentionLoop } from './retention.ts';
import { at, boundStatus, EPOCH, makePod, makeSession, NAMESPACE, terminated } from './testing/objects.ts';

const retention = { pods: { seconds: 100, count: 2 }, sessions: { seconds: 100, count: 2 } };

function ended(name: string, seconds: number, { ours = true, ttl }: { ours?: boolean; ttl?: number } = {}): Session {
  return makeSession(name, {
    spec: ttl === undefined ? {} : { ttlSecondsAfterFinished: ttl },
    status: boundStatus(makeSession(name), { phase: 'Ended', endedAt: at(seconds) }),
    metadata: { labels: ours ? { 'bullpen.dev/started-by': 'gateway' } : {} },
  });
}

function endedPod(name: string, seconds: number, finalizers: string[] = []) {
  return makePod(makeSession(name), {
    status: terminated('Succeeded', { exitCode: 0, finishedAt: at(seconds) }),
    metadata: { finalizers },
  });
}

function plan(pods: ReturnType<typeof endedPod>[], sessions: Session[], seconds: number) {
  const planned = planRetention({
    endedPods: pods,
    finishedSessions: sessions,
    retention,
    now: EPOCH + seconds * 1000,
  });
  return {
    pods: planned.pods.map(({ metadata }) => metadata.name.split('-')[0]),
    sessions: planned.sessions.map(({ metadata }) => metadata.name),
    requeueAfterMs: planned.requeueAfterMs,
  };
}

describe('planRetention', () => {
  it('removes what is too old, and says when the next will be', () => {
    expect(plan([endedPod('old', 0), endedPod('new', 50)], [], 100)).toEqual({
      pods: ['old'],
      sessions: [],
      requeueAfterMs: 50_000,
    });
  });

  it('removes the oldest beyond the count', () => {
    expect(plan([endedPod('a', 3), endedPod('b', 1), endedPod('c', 2)], [], 10).pods).toEqual(['b']);
  });

  it('never removes a pod whose end is not recorded', () => {
    expect(plan([endedPod('a', 0, ['bullpen.dev/session-record'])], [], 1000).pods).toEqual([]);
  });

  it('forgets Sessions that REST started, not those of somebody’s manifest or with a time to live of their own', () => {
    const sessions = [ended('rest', 0), ended('manifest', 0, { ours: false }), ended('ttl', 0, { ttl: 5000 })];
    expect(plan([], sessions, 100).sessions).toEqual(['rest']);
  });

  it('plans nothing when there is nothing', () => {
    expect(plan([], [], 0)).toEqual({ pods: [], sessions: [], requeueAfterMs: undefined });
  });
});

describe('a pass', () => {
  const REQUEST_MS = 10;

  /** Deletes what has ended, with requests that take their time; returns the names in their order, and when each was asked for. */
  async function pass(clock: FakeClock, signal: AbortSignal, names: string[]): Promise<[string, number][]> {
    const caches: Caches = {
      agents: new Store({ indexes: agentIndexes }),
      sessions: new Store({ indexes: sessionIndexes }),
      pods: new Store({ indexes: podIndexes }),
      nodes: new Store(),
    };
    caches.sessions.replaceAll(
      names.map((name) => ended(name, 0)),
      '1',
    );
    const asked: [string, number][] = [];
    const api = {
      delete: (_resource: unknown, { name }: { name: string }) => {
        asked.push([name, clock.monotonic()]);
        return new Promise<void>((resolve) => clock.setTimeout(resolve, REQUEST_MS));
      },
    } as unknown as KubeApi;
    const done = new RetentionLoop({ api, caches, clock }).reconcile(`${NAMESPACE}/echo`, signal);
    // A week later all of them are too old.
    await clock.advanceAsync(1000);
    await done;
    return asked;
  }

  function late(): FakeClock {
    return new FakeClock(EPOCH + 7 * 86_400_000);
  }

  it('leaves the API server alone for half of the time', async () => {
    const asked = await pass(late(), new AbortController().signal, ['a', 'b', 'c']);
    expect(asked.map(([, when]) => when)).toEqual([0, 2 * REQUEST_MS, 4 * REQUEST_MS]);
  });

  it('begins with nothing more once it is told to end', async () => {
    const clock = late();
    const stop = new AbortController();
    clock.setTimeout(() => stop.abort(), REQUEST_MS);
    expect(await pass(clock, stop.signal, ['a', 'b', 'c'])).toHaveLength(1);
  });
});
