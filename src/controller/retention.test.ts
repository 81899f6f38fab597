import { describe, expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import { planRetention } from './retention.ts';
import { at, boundStatus, EPOCH, makePod, makeSession, terminated } from './testing/objects.ts';

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
