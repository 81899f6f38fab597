import { isDeepStrictEqual } from 'node:util';
import { agentLimits } from '../api/limits.ts';
import type { EndReason } from '../api/reasons.ts';
import type { Session, SessionLimitsInForce, SessionStatus } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding } from '../pods/binding.ts';
import {
  agentStartedAt,
  agentTerminated,
  hasLostSandbox,
  isBeingDeleted,
  isScheduled,
  isTerminal,
  isToldToStop,
  STOP_NOW_SECONDS,
  waitCause,
} from '../pods/pod-facts.ts';
import { hasOurFinalizer } from '../pods/finalizer.ts';
import { outcomeOf, removedOutcome, SANDBOX_LOST, type Intent, type Outcome } from './session-outcome.ts';
import {
  endedStatus,
  finishedAt,
  isFinished,
  runningStatus,
  startingStatus,
  stoppingStatus,
} from './session-status.ts';

/**
 * The life of a Session that has a pod, from the moment the pod exists to the last trace:
 *
 *   Pending  → Starting   its pod exists
 *   Starting → Running    the kubelet says that the agent's container runs; the limit counts from here
 *   any      → Stopping   somebody decided to end it: spec.stop, the start timeout, or an agent that is gone while
 *                         other containers of its pod still run
 *   any      → Ended      the pod is terminal, or lost
 *
 * What happens before there is a pod (rejecting, queueing, admitting) is `agent-plan.ts`. Everything here is a function
 * of what the caches show: it holds after any crash, in any order of events, and when called again with nothing new it
 * plans nothing.
 */
export interface SessionView {
  /** The Session of this uid, or undefined when it has been deleted. */
  session: Session | undefined;
  /** The pod bound to this uid, or undefined when there is none. */
  pod: Pod | undefined;
  node: NodeState;
  /** Unix milliseconds, by the controller's clock. */
  now: number;
}

/** What is known of the node that a pod is on. `silentForMs` is measured by our own monotonic clock. */
export type NodeState = { state: 'answers' | 'gone' } | { state: 'silent'; silentForMs: number };

/** Pod actions, in the order in which they are carried out; the status is written after `stop` and before `release`. */
export interface SessionPlan {
  /** Lower the pod's `activeDeadlineSeconds`, so that the kubelet ends it. */
  deadlineSeconds?: number;
  /** Delete the pod. 0 seconds of grace means by force: the node does not answer, or no longer exists. */
  deletePod?: { gracePeriodSeconds?: number };
  status?: SessionStatus;
  /** The session is over and this plan records it: count its usage once. */
  ended?: { outcome: Outcome; pod: Pod };
  /** Remove our finalizer from the pod: its end is recorded (or there is nobody left to record it for). */
  releasePod?: true;
  /** Delete the Session: its time to live after its end is over. */
  deleteSession?: true;
  /** The pod is not in the cache: read it afresh, and end the Session as Lost only if it is really gone. */
  confirmPodGone?: true;
  /** Plan again after this many milliseconds, because only time will change something. */
  requeueAfterMs?: number;
}

/** How long the kubelet gets beyond a pod's grace period until the controller deletes the pod by force. */
export const KUBELET_SLACK_MS = 60_000;
/** A pod whose agent has terminated becomes terminal at once; only if it does not, other containers hold it up. */
const TEARDOWN_PATIENCE_MS = 2_000;

const NOTHING: SessionPlan = {};

export function planSession(view: SessionView): SessionPlan {
  const { session, pod } = view;
  if (session === undefined) return pod === undefined ? NOTHING : planOrphanedPod(view, pod);
  if (isFinished(session)) return planFinished(view, session, pod);
  if (pod === undefined) return session.status?.podUID === undefined ? NOTHING : { confirmPodGone: true };
  return planBound(view, session, pod);
}

/** The status of a Session whose pod vanished before its end was recorded: somebody removed our finalizer. */
export function vanishedStatus(session: Session, now: number): SessionStatus {
  return endedStatus(session, undefined, { reason: 'Lost', message: 'the pod vanished' }, now);
}

function planBound(view: SessionView, session: Session, pod: Pod): SessionPlan {
  const { now } = view;
  const limits = limitsOf(session, pod);
  const intent = intentOf(session, pod, limits, now);
  const over = overOutcome(view, pod, limits, intent);
  if (over !== undefined) return planEnd(session, pod, over, now);

  const startedAt = agentStartedAt(pod);
  if (intent !== undefined) return planStop(session, pod, intent, limits, now);
  if (agentTerminated(pod) !== undefined) return planTeardown(session, pod, now);
  if (startedAt === undefined) {
    return {
      ...changed(session, startingStatus(session, pod, limits, waitCause(pod), now)),
      requeueAfterMs: soonest(view, limits, startDeadline(session, pod, limits) - now),
    };
  }
  const deadline = runningDeadline(pod, startedAt, limits);
  return {
    ...(deadline !== undefined && { deadlineSeconds: deadline }),
    ...changed(session, runningStatus(session, pod, limits, startedAt, now)),
    requeueAfterMs: soonest(view, limits, overdueAfterMs(session, limits, now)),
  };
}

/**
 * Why the controller wants the session to end, or has wanted it. A decision that is already in the status stands;
 * otherwise it follows from durable facts, so that a crash between deciding and writing changes nothing.
 */
function intentOf(session: Session, pod: Pod, limits: SessionLimitsInForce, now: number): Intent | undefined {
  const { status } = session;
  if (status?.phase === 'Stopping' && status.reason !== undefined) {
    return { reason: status.reason as EndReason, message: status.message ?? '' };
  }
  if (session.spec.stop === true) return { reason: 'Stopped', message: 'spec.stop was set' };
  if (session.metadata.deletionTimestamp !== undefined)
    return { reason: 'Stopped', message: 'the Session was deleted' };
  // Written down while the agent still runs: afterwards its polite goodbye would look like success.
  if (hasLostSandbox(pod) && agentTerminated(pod) === undefined) return SANDBOX_LOST;
  const startedAt = agentStartedAt(pod);
  if (startedAt === undefined && startDeadline(session, pod, limits) <= now && agentTerminated(pod) === undefined) {
    const cause = waitCause(pod);
    const message = startDeadlineMissed(session, limits);
    return { reason: 'StartTimeout', message: cause === undefined ? message : `${message}: ${cause.message}` };
  }
  if (startedAt !== undefined && overdueAfterMs(session, limits, now) <= 0) {
    return {
      reason: 'DeadlineExceeded',
      message: 'the session reached its maximum duration and its node did not end it',
    };
  }
  return undefined;
}

/** Whether the session is over, and how; undefined while its pod may still do something. */
function overOutcome(
  view: SessionView,
  pod: Pod,
  limits: SessionLimitsInForce | undefined,
  intent: Intent | undefined,
): Outcome | undefined {
  if (isTerminal(pod)) return outcomeOf(pod, intent);
  const name = pod.spec?.nodeName ?? '';
  if (isScheduled(pod) && view.node.state === 'gone') return { reason: 'Lost', message: `node ${name} is gone` };
  if (
    view.node.state === 'silent' &&
    limits !== undefined &&
    view.node.silentForMs >= limits.nodeLostAfterSeconds * 1000
  ) {
    return { reason: 'Lost', message: `node ${name} has been silent for ${limits.nodeLostAfterSeconds} s` };
  }
  if (!isBeingDeleted(pod)) return undefined;
  if (!isScheduled(pod) || pod.metadata.deletionGracePeriodSeconds === 0) return intent ?? removedOutcome(pod);
  return undefined;
}

function planEnd(session: Session, pod: Pod, outcome: Outcome, now: number): SessionPlan {
  return { status: endedStatus(session, pod, outcome, now), ended: { outcome, pod }, ...letGo(pod) };
}

/** Asks the kubelet to end the pod (its logs stay), or deletes a pod that no kubelet has; by force when nobody obeys. */
function planStop(session: Session, pod: Pod, intent: Intent, limits: SessionLimitsInForce, now: number): SessionPlan {
  const { status } = session;
  const stoppingSince =
    status?.phase === 'Stopping' && status.stoppingAt !== undefined ? Date.parse(status.stoppingAt) : now;
  // A kubelet that has let a session pass its limit has had its time already.
  const patience =
    intent.reason === 'DeadlineExceeded' ? 0 : limits.terminationGracePeriodSeconds * 1000 + KUBELET_SLACK_MS;
  const forceAfter = stoppingSince + patience;
  const next = changed(session, stoppingStatus(session, pod, limits, intent, now));
  if (forceAfter <= now) return { deletePod: { gracePeriodSeconds: 0 }, ...next };
  const again = { requeueAfterMs: forceAfter - now };
  if (!isScheduled(pod)) return { ...(!isBeingDeleted(pod) && { deletePod: {} }), ...next, ...again };
  if (isBeingDeleted(pod) || isToldToStop(pod)) return { ...next, ...again };
  return { deadlineSeconds: STOP_NOW_SECONDS, ...next, ...again };
}

/**
 * The agent is gone and its pod is not: unless that settles by itself, the other containers are told to end too. A node whose
 * clock is ahead of ours puts that off by the difference, and nothing else depends on it.
 */
function planTeardown(session: Session, pod: Pod, now: number): SessionPlan {
  const exit = agentTerminated(pod);
  const othersRun = pod.status?.containerStatuses?.some((status) => status.state?.running !== undefined) ?? false;
  const finishedAt = Date.parse(exit?.finishedAt ?? '');
  const waited = now - finishedAt;
  if (!othersRun && waited < TEARDOWN_PATIENCE_MS) return { requeueAfterMs: TEARDOWN_PATIENCE_MS };
  const outcome = outcomeOf(pod, undefined);
  return { status: stoppingStatus(session, pod, limitsOf(session, pod), outcome, now) };
}

/** The Session is over, and said so: let go of its pod, and of itself when its time has come. */
function planFinished(view: SessionView, session: Session, pod: Pod | undefined): SessionPlan {
  const held = pod === undefined ? {} : letGo(pod);
  const ttl = session.spec.ttlSecondsAfterFinished;
  const since = finishedAt(session);
  if (ttl === undefined || Number.isNaN(since)) return held;
  const remaining = since + ttl * 1000 - view.now;
  return remaining <= 0 ? { ...held, deleteSession: true } : { ...held, requeueAfterMs: remaining };
}

/** A pod whose Session has been deleted: end it, and let go of it when it has ended. Nobody is left to record for. */
function planOrphanedPod(view: SessionView, pod: Pod): SessionPlan {
  const limits = readBinding(pod)?.limits;
  const intent: Intent = { reason: 'Stopped', message: 'the Session was deleted' };
  const over = overOutcome(view, pod, limits, intent);
  if (over !== undefined) {
    // The garbage collector removes a pod whose owner is gone, but not one that `--cascade=orphan` has left without.
    const orphaned = (pod.metadata.ownerReferences ?? []).length === 0 && !isBeingDeleted(pod);
    return {
      ...(hasOurFinalizer(pod) && { ended: { outcome: over, pod } }),
      ...letGo(pod),
      ...(orphaned && { deletePod: {} }),
    };
  }
  if (!isBeingDeleted(pod)) return { deletePod: {}, requeueAfterMs: KUBELET_SLACK_MS };
  const forceAt = Date.parse(pod.metadata.deletionTimestamp ?? '') + KUBELET_SLACK_MS;
  return forceAt <= view.now ? { deletePod: { gracePeriodSeconds: 0 } } : { requeueAfterMs: forceAt - view.now };
}

/**
 * The end is recorded, so our finalizer goes. A pod that is not terminal (its node is gone or silent) is deleted too:
 * should its node come back, the kubelet finds the pod deleted and stops it.
 */
function letGo(pod: Pod): SessionPlan {
  const deletion = !isTerminal(pod) && !isBeingDeleted(pod) ? { deletePod: {} } : {};
  return { ...deletion, ...(hasOurFinalizer(pod) && { releasePod: true as const }) };
}

/** The limits in force: the pod's own record, else the status', else the defaults of an Agent that says nothing. */
function limitsOf(session: Session, pod: Pod): SessionLimitsInForce {
  return (
    readBinding(pod)?.limits ??
    session.status?.limits ?? {
      maxSessionDuration: agentLimits.maxSessionDuration.default,
      startTimeoutSeconds: agentLimits.startTimeoutSeconds.default,
      nodeLostAfterSeconds: agentLimits.nodeLostAfterSeconds.default,
      terminationGracePeriodSeconds: agentLimits.terminationGracePeriodSeconds.default,
    }
  );
}

/** When the Session must have started, in Unix milliseconds of the controller's clock, which also made `admittedAt`. */
function startDeadline(session: Session, pod: Pod, limits: SessionLimitsInForce): number {
  const admittedAt = session.status?.admittedAt ?? readBinding(pod)?.admittedAt ?? pod.metadata.creationTimestamp;
  const startBefore = Date.parse(session.spec.startBefore ?? '') || Infinity;
  return Math.min(Date.parse(admittedAt) + limits.startTimeoutSeconds * 1000, startBefore);
}

function startDeadlineMissed({ spec }: Session, limits: SessionLimitsInForce): string {
  const before = spec.startBefore === undefined ? '' : `, or before ${spec.startBefore}`;
  return `it did not start within ${limits.startTimeoutSeconds} s${before}`;
}

/**
 * What `activeDeadlineSeconds` must be once the agent has started, or undefined when it is that already (or less).
 *
 * The kubelet counts it from `status.startTime`, which like `startedAt` is a whole second of its clock, and checks
 * once a second. The agent may have started up to a second after what `startedAt` says, so one second is added: a
 * session is never cut before its limit, and at most about two seconds after it.
 */
function runningDeadline(pod: Pod, startedAt: string, limits: SessionLimitsInForce): number | undefined {
  const acceptedAt = pod.status?.startTime;
  if (acceptedAt === undefined) return undefined;
  const elapsed = Math.max(0, Math.round((Date.parse(startedAt) - Date.parse(acceptedAt)) / 1000));
  const wanted = elapsed + limits.maxSessionDuration + 1;
  const current = pod.spec?.activeDeadlineSeconds;
  return current === undefined || current > wanted ? wanted : undefined;
}

/** How long until the controller itself must end a session that its kubelet should have ended; not positive when it must now. */
function overdueAfterMs(session: Session, limits: SessionLimitsInForce, now: number): number {
  const started = session.status?.conditions?.find(
    (condition) => condition.type === 'Started' && condition.status === 'True',
  );
  // Our own clock saw it start. Before that is written there is nothing to be overdue of.
  const since = started === undefined ? now : Date.parse(started.lastTransitionTime);
  return since + (limits.maxSessionDuration + limits.terminationGracePeriodSeconds) * 1000 + KUBELET_SLACK_MS - now;
}

/** When to look again: at the deadline, or when a silent node has been silent for too long, whichever comes first. */
function soonest(view: SessionView, limits: SessionLimitsInForce, deadlineMs: number): number {
  const lostAfterMs =
    view.node.state === 'silent' ? limits.nodeLostAfterSeconds * 1000 - view.node.silentForMs : Infinity;
  return Math.max(1, Math.min(deadlineMs, lostAfterMs));
}

/** A status is written only when it says something new: an idle cluster sees no writes. */
function changed(session: Session, next: SessionStatus): SessionPlan {
  return isDeepStrictEqual(next, session.status) ? {} : { status: next };
}
