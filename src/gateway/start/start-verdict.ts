import type { RejectReason } from '../../api/reasons.ts';
import type { Session } from '../../api/session.ts';
import type { ProblemName } from '../problems.ts';

/** What became of the start of a Session, as far as its status tells. */
export type StartVerdict =
  | { kind: 'waiting' }
  | { kind: 'started'; start: 'warm' | 'cold'; expiresAt: string }
  | { kind: 'refused'; problem: ProblemName; message: string };

/** What a caller over REST is told of a refusal; StartFailed for all that is not here. */
const PROBLEM_OF: Partial<Record<RejectReason, ProblemName>> = {
  AtCapacity: 'AtCapacity',
  QueueTimeout: 'AtCapacity',
  AgentNotFound: 'AgentNotFound',
  AgentDeleting: 'AgentNotFound',
  AgentPaused: 'NotReady',
  AgentInvalid: 'NotReady',
  ProtocolNotSupported: 'NotReady',
  StartBeforePassed: 'StartTimeout',
  SessionInvalid: 'BadRequest',
};

/** A start has done its part when the Session has a pod: one that has waited and taken it, or one that is made for it. */
export function startVerdict(session: Session): StartVerdict {
  const { phase = 'Pending', startedAt, message = '', reason } = session.status ?? {};
  if (phase === 'Rejected') {
    const problem = PROBLEM_OF[reason as RejectReason] ?? 'StartFailed';
    return { kind: 'refused', problem, message };
  }
  if (phase === 'Ended' && startedAt === undefined)
    return { kind: 'refused', problem: reason === 'StartTimeout' ? 'StartTimeout' : 'StartFailed', message };
  return earlierAnswer(session) ?? { kind: 'waiting' };
}

/** Whether whoever waited for the Session was told that it does not start. */
export function isRefused(session: Session): boolean {
  return earlierAnswer(session) === undefined && startVerdict(session).kind === 'refused';
}

/** What was answered when the Session got its pod, whatever has become of it since; undefined while it has none. */
export function earlierAnswer({ status, metadata }: Session): Extract<StartVerdict, { kind: 'started' }> | undefined {
  const { podUID, startedAt, admittedAt, startKind, limits } = status ?? {};
  if (podUID === undefined) return undefined;
  const { maxSessionDuration = 0, startTimeoutSeconds = 0 } = limits ?? {};
  const since = Date.parse(startedAt ?? admittedAt ?? metadata.creationTimestamp);
  const seconds = startedAt === undefined ? startTimeoutSeconds + maxSessionDuration : maxSessionDuration;
  const expiresAt = new Date(since + seconds * 1000).toISOString();
  return { kind: 'started', start: startKind === 'Warm' ? 'warm' : 'cold', expiresAt };
}
