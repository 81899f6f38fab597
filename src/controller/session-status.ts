import type { Condition } from '../api/conditions.ts';
import { sizes } from '../api/limits.ts';
import { labels } from '../api/names.ts';
import type { RejectReason, SessionConditionType, SessionPhase, SessionReason, WaitReason } from '../api/reasons.ts';
import type { Session, SessionLimitsInForce, SessionStatus } from '../api/session.ts';
import { setCondition } from '../kube/conditions.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding } from '../pods/binding.ts';
import { isSlow, lastFinishedAt, type WaitCause } from '../pods/pod-facts.ts';
import { sessionSeconds } from '../usage/session-seconds.ts';
import { usageSince } from './session-facts.ts';
import type { Outcome } from './session-outcome.ts';

/**
 * When a finished Session was found to be over, by our own clock (milliseconds since the epoch): what it is kept for counts from here.
 * `endedAt` is mostly the kubelet's, whose clock may be another. NaN while it is not over.
 */
export function finishedAt({ status }: Session): number {
  const finished = status?.conditions?.find(({ type, status: is }) => type === 'Finished' && is === 'True');
  return Date.parse(finished?.lastTransitionTime ?? status?.endedAt ?? '');
}

/** Waiting in the queue of a full Agent. */
export function queuedStatus(session: Session, position: number, message: string, now: number): SessionStatus {
  return next(session, now, {
    phase: 'Pending',
    reason: 'Queued',
    message,
    queuePosition: position,
    queuedAt: session.status?.queuedAt ?? iso(now),
    conditions: [['Admitted', 'False', 'Queued', message]],
  });
}

export function rejectedStatus(session: Session, reason: RejectReason, message: string, now: number): SessionStatus {
  return next(session, now, {
    phase: 'Rejected',
    reason,
    message,
    endedAt: iso(now),
    endedAtSource: 'Controller',
    conditions: [
      ['Admitted', 'False', reason, message],
      ['Finished', 'True', reason, message],
    ],
  });
}

/** Admitted, but Kubernetes does not (yet) accept its pod. It keeps its place until its start timeout. */
export function waitingForPodStatus(
  session: Session,
  admission: { admittedAt: string; limits: SessionLimitsInForce },
  cause: { reason: WaitReason; message: string },
  now: number,
): SessionStatus {
  return next(session, now, {
    phase: 'Starting',
    reason: cause.reason,
    message: cause.message,
    admittedAt: admission.admittedAt,
    limits: admission.limits,
    startKind: 'Cold',
    conditions: [
      ['Admitted', 'True', 'Admitted', 'the Session has its place'],
      ['Started', 'False', cause.reason, cause.message],
    ],
  });
}

/** Its pod is of no use, and the agent has been told nothing: it keeps its place, and gets another pod. */
export function retryingStatus(
  session: Session,
  pod: Pod,
  limits: SessionLimitsInForce,
  { attempt, why }: { attempt: number; why: string },
  now: number,
): SessionStatus {
  const { admittedAt } = boundFields(session, pod, limits, now);
  const status = next(session, now, {
    phase: 'Starting',
    reason: 'Retrying',
    message: `it gets another pod: ${why}`,
    attempt,
    admittedAt,
    limits,
    conditions: [
      ['Admitted', 'True', 'Admitted', 'the Session has its place'],
      ['Started', 'False', 'Retrying', why],
    ],
  });
  const {
    podName: _pod,
    revision: _revision,
    podUID: _uid,
    nodeName: _node,
    startKind: _kind,
    boundAt: _bound,
    ...unbound
  } = status;
  return unbound;
}

/** Its pod exists. A cause is written when it is a problem and new; what is merely slow is not worth a write. */
export function startingStatus(
  session: Session,
  pod: Pod,
  limits: SessionLimitsInForce,
  cause: WaitCause | undefined,
  now: number,
): SessionStatus {
  const known = session.status?.reason;
  const problem = cause === undefined || isSlow(cause) ? undefined : cause;
  const bound = boundFields(session, pod, limits, now);
  if (problem === undefined) {
    // Its node alone is not worth a write either: it comes with Running.
    const { nodeName: _nodeName, ...withoutNode } = bound;
    return next(session, now, {
      ...withoutNode,
      phase: 'Starting',
      conditions: [
        ['Admitted', 'True', 'Admitted', 'the Session has its place'],
        ['Started', 'False', 'ContainerCreating', 'the pod is starting'],
      ],
    });
  }
  // The kubelet and the scheduler word the same cause in ever new ways: the first wording stays.
  const message = known === problem.reason ? (session.status?.message ?? problem.message) : problem.message;
  return next(session, now, {
    ...bound,
    phase: 'Starting',
    reason: problem.reason,
    message,
    conditions: [
      ['Admitted', 'True', 'Admitted', 'the Session has its place'],
      ['Started', 'False', problem.reason, message],
    ],
  });
}

export function runningStatus(
  session: Session,
  pod: Pod,
  limits: SessionLimitsInForce,
  startedAt: string,
  now: number,
): SessionStatus {
  return next(session, now, {
    ...boundFields(session, pod, limits, now),
    phase: 'Running',
    startedAt,
    conditions: [
      ['Admitted', 'True', 'Admitted', 'the Session has its place'],
      ['Started', 'True', 'Started', 'the agent runs'],
    ],
  });
}

export function stoppingStatus(
  session: Session,
  pod: Pod,
  limits: SessionLimitsInForce,
  why: { reason: SessionReason; message: string; exitCode?: number },
  now: number,
  startedAt: string | undefined,
): SessionStatus {
  return next(session, now, {
    ...boundFields(session, pod, limits, now),
    ...(startedAt !== undefined && { startedAt }),
    phase: 'Stopping',
    reason: why.reason,
    message: why.message,
    ...(why.exitCode !== undefined && { exitCode: why.exitCode }),
    stoppingAt: session.status?.stoppingAt ?? iso(now),
  });
}

/** The end, with everything that the pod tells. Without a pod (it vanished) the times are the controller's. */
export function endedStatus(
  session: Session,
  pod: Pod | undefined,
  outcome: Outcome,
  now: number,
  startedAt?: string,
): SessionStatus {
  const finishedAt = pod && lastFinishedAt(pod);
  const boundAtMs = Date.parse(session.status?.boundAt ?? '');
  const limits = (pod && readBinding(pod)?.limits) ?? session.status?.limits;
  return next(session, now, {
    ...(pod && limits && boundFields(session, pod, limits, now)),
    ...(startedAt !== undefined && { startedAt }),
    phase: 'Ended',
    reason: outcome.reason,
    message: outcome.message,
    ...(outcome.exitCode !== undefined && { exitCode: outcome.exitCode }),
    endedAt: finishedAt ?? iso(now),
    endedAtSource: finishedAt === undefined ? 'Controller' : 'Kubelet',
    usageSeconds: Math.round(sessionSeconds(usageSince(pod, startedAt), finishedAt, { boundAtMs, endedAtMs: now })),
    conditions: [['Finished', 'True', outcome.reason, outcome.message]],
  });
}

function boundFields(session: Session, pod: Pod, limits: SessionLimitsInForce, now: number): Omit<Changes, 'phase'> {
  const { status } = session;
  const nodeName = pod.spec?.nodeName;
  const revision = pod.metadata.labels?.[labels.revision];
  return {
    podName: pod.metadata.name,
    ...(revision !== undefined && { revision }),
    podUID: pod.metadata.uid,
    ...(nodeName !== undefined && { nodeName }),
    startKind: readBinding(pod)?.startKind ?? status?.startKind ?? 'Cold',
    admittedAt: status?.admittedAt ?? readBinding(pod)?.admittedAt ?? iso(now),
    boundAt: status?.boundAt ?? iso(now),
    limits,
  };
}

type ConditionEntry = readonly [type: SessionConditionType, status: 'True' | 'False', reason: string, message: string];
type Changes = Omit<Partial<SessionStatus>, 'conditions' | 'phase'> & { phase: SessionPhase };

/** The next status: what is known stays, reason and message are this phase's own, and conditions move only when they change. */
function next(
  session: Session,
  now: number,
  { conditions = [], ...changes }: Changes & { conditions?: readonly ConditionEntry[] },
): SessionStatus {
  const { reason: _reason, message: _message, queuePosition: _position, ...kept } = session.status ?? {};
  let list: readonly Condition[] = kept.conditions ?? [];
  for (const [type, status, why, message] of conditions) {
    const text = message.slice(0, sizes.message);
    list = setCondition(list, { type, status, reason: why, message: text, ...generation(session) }, now);
  }
  return {
    createdAt: session.metadata.creationTimestamp,
    ...kept,
    ...changes,
    ...(changes.message !== undefined && { message: changes.message.slice(0, sizes.message) }),
    ...generation(session),
    ...(list.length > 0 && { conditions: [...list] }),
  };
}

function generation(session: Session): { observedGeneration?: number } {
  return session.metadata.generation === undefined ? {} : { observedGeneration: session.metadata.generation };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
