import { describe, expect, it } from 'vitest';
import { rejectReasons } from '../../api/reasons.ts';
import type { Session, SessionStatus } from '../../api/session.ts';
import { earlierAnswer, startVerdict } from './start-verdict.ts';

const limits = {
  maxSessionDuration: 300,
  startTimeoutSeconds: 100,
  nodeLostAfterSeconds: 300,
  terminationGracePeriodSeconds: 10,
};
const bound = { podUID: 'p', podName: 'p', admittedAt: '2026-01-01T00:00:01.000Z', limits };

function session(status?: SessionStatus): Session {
  const metadata = {
    name: 's',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return {
    apiVersion: 'bullpen.dev/v1alpha1',
    kind: 'Session',
    metadata,
    spec: { agent: 'a' },
    ...(status && { status }),
  };
}

describe('a start', () => {
  it.each<[string, SessionStatus | undefined]>([
    ['nobody has looked at', undefined],
    ['that waits for its turn', { phase: 'Pending', reason: 'Queued' }],
    ['whose pod Kubernetes does not take yet', { phase: 'Starting', reason: 'QuotaExceeded', limits }],
  ])('%s goes on', (_, status) => {
    expect(startVerdict(session(status))).toEqual({ kind: 'waiting' });
  });

  it('on a pod that waited is warm, and ends its duration after its start', () => {
    const status = { ...bound, phase: 'Running', startKind: 'Warm', startedAt: '2026-01-01T00:00:02.000Z' } as const;
    const expiresAt = '2026-01-01T00:05:02.000Z';
    expect(startVerdict(session(status))).toEqual({ kind: 'started', start: 'warm', expiresAt });
  });

  it('on a pod that is made is cold, and may use all of its time to start', () => {
    const status = { ...bound, phase: 'Starting', startKind: 'Cold' } as const;
    const expiresAt = '2026-01-01T00:06:41.000Z';
    expect(startVerdict(session(status))).toEqual({ kind: 'started', start: 'cold', expiresAt });
  });

  it('has been done, though the session is over already', () => {
    const status = { ...bound, phase: 'Ended', startKind: 'Warm', startedAt: '2026-01-01T00:00:02.000Z' } as const;
    expect(startVerdict(session(status))).toMatchObject({ kind: 'started' });
  });

  it.each([
    ['AtCapacity', 'AtCapacity'],
    ['QueueTimeout', 'AtCapacity'],
    ['AgentPaused', 'NotReady'],
    ['AgentInvalid', 'NotReady'],
    ['AgentNotFound', 'AgentNotFound'],
    ['StartBeforePassed', 'StartTimeout'],
    ['BodyNotOpened', 'StartFailed'],
    ['SessionInvalid', 'BadRequest'],
  ] as const)('that is rejected with %s is told as %s', (reason, problem) => {
    const status = { phase: 'Rejected', reason, message: 'why' } as const;
    expect(startVerdict(session(status))).toEqual({ kind: 'refused', problem, message: 'why' });
  });

  it('that is rejected is refused, whatever the reason', () => {
    for (const reason of Object.keys(rejectReasons) as (keyof typeof rejectReasons)[])
      expect(startVerdict(session({ phase: 'Rejected', reason })).kind).toBe('refused');
  });

  it.each([
    ['StartTimeout', 'StartTimeout'],
    ['Lost', 'StartFailed'],
  ] as const)('that ended with %s before it began is told as %s', (reason, problem) => {
    const ended = session({ ...bound, phase: 'Ended', reason });
    expect(startVerdict(ended)).toMatchObject({ kind: 'refused', problem });
    // Who asked when it got its pod was told so, and is told so again.
    expect(earlierAnswer(ended)).toMatchObject({ kind: 'started', start: 'cold' });
  });
});
