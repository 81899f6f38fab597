import { isDeepStrictEqual } from 'node:util';
import type { Session, SessionLimitsInForce, SessionStatus } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding } from '../pods/binding.ts';
import {
  isBeingDeleted,
  isScheduled,
  isTerminal,
  isToldToStop,
  STOP_NOW_SECONDS,
  waitCause,
} from '../pods/pod-facts.ts';
import { hasOurFinalizer } from '../pods/finalizer.ts';
import { isHttp, sessionRecord } from '../pods/session-record.ts';
import {
  admittedAt,
  KUBELET_SLACK_MS,
  limitsOf,
  overdueAfterMs,
  runningDeadline,
  startDeadline,
} from './session-deadlines.ts';
import {
  intentOf,
  isUnasked,
  NEVER_READY_SLACK_MS,
  overOutcome,
  toldOutcome,
  type SessionView,
} from './session-ending.ts';
import { sessionProcessExit, sessionStartedAt, type Delivery } from './session-facts.ts';
import type { Intent, Outcome } from './session-outcome.ts';
import { attemptOf, mayRetry } from './session-retry.ts';
import { isFinished } from '../api/session-phase.ts';
import {
  endedStatus,
  finishedAt,
  retryingStatus,
  runningStatus,
  startingStatus,
  stoppingStatus,
} from './session-status.ts';

/** Pod actions, in the order in which they are carried out; the status is written after `stop` and before `release`. */
export interface SessionPlan {
  /** Hand the Session to the supervisor of its pod, or go on doing so, until this time (Unix milliseconds). */
  deliver?: { startBy: number };
  /** Ask the supervisor to end the session. */
  askToStop?: true;
  /** Tell this pod nothing any more; if it has been told meanwhile, carry out nothing and plan again. */
  giveUp?: true;
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

/** A pod whose agent has terminated becomes terminal at once; only if it does not, other containers hold it up. */
const TEARDOWN_PATIENCE_MS = 2_000;
/** A supervisor that was asked to end its session has ended by then, else the kubelet is told. */
const SUPERVISOR_PATIENCE_MS = 2_000;
/** Less time than this until the start timeout is not worth another pod. */
const RETRY_LEAST_MS = 1_000;
/** A stop is told in the status when it takes longer than this. */
const STOP_UNTOLD_MS = 1_000;
/** A warm start is not worth a status of its own, unless it takes longer than this. */
const WARM_START_UNTOLD_MS = 1_000;

const NOTHING: SessionPlan = {};

/**
 * The life of a Session that has a pod, from the moment the pod exists to the last trace:
 *
 *   Pending  → Starting   its pod exists
 *   Starting → Running    Process: the kubelet says that the agent's container runs. Http: the supervisor says that the agent has
 *                         been told to begin. The limit counts from here
 *   any      → Stopping   somebody decided to end it: spec.stop, the start timeout, or an agent that is gone while
 *                         other containers of its pod still run
 *   any      → Ended      the pod is terminal, or lost
 *
 * What happens before there is a pod (rejecting, queueing, admitting) is `agent-plan.ts`. Everything here is a function
 * of what the caches show: it holds after any crash, in any order of events, and when called again with nothing new it
 * plans nothing.
 */
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
  const { now, delivery } = view;
  const limits = limitsOf(session, pod);
  const intent = intentOf(view, session, pod, limits);
  const over = overOutcome(view, pod, limits, intent);
  const inTime = startDeadline(session, pod, limits) - now > RETRY_LEAST_MS;
  const alone = view.rival === undefined && intent === undefined;
  const stays = session.metadata.deletionTimestamp === undefined;
  if (alone && inTime && stays && mayRetry(session, pod, over !== undefined, delivery)) {
    const why = over?.message ?? `its supervisor cannot be reached: ${delivery?.problem ?? 'no connection'}`;
    const status = retryingStatus(session, pod, limits, { attempt: attemptOf(session) + 1, why }, now);
    // What the pod itself says of it stands, whatever has been sent.
    return { ...(sessionRecord(pod) === undefined && { giveUp: true }), status };
  }
  if (over !== undefined) return planEnd(session, pod, over, now, delivery);
  if (intent !== undefined) return planStop(view, session, pod, intent, limits);
  if (sessionProcessExit(pod) !== undefined) return planTeardown(session, pod, now, undefined);
  const startedAt = sessionStartedAt(session, pod, delivery);
  if (startedAt === undefined) return planStart(view, session, pod, limits);
  const deadline = isHttp(pod) ? undefined : runningDeadline(pod, startedAt, limits);
  return {
    ...(deadline !== undefined && { deadlineSeconds: deadline }),
    ...changed(session, runningStatus(session, pod, limits, startedAt, now)),
    requeueAfterMs: soonest(view, limits, overdueAfterMs(session, limits, now)),
  };
}

function planStart(view: SessionView, session: Session, pod: Pod, limits: SessionLimitsInForce): SessionPlan {
  const { now } = view;
  const untilDeadline = startDeadline(session, pod, limits) - now;
  const wait = isHttp(pod) ? untilDeadline + NEVER_READY_SLACK_MS : untilDeadline;
  const inTime = untilDeadline > 0 || isUnasked(pod, view.delivery);
  const deliver = isHttp(pod) && view.rival === undefined && pod.status?.podIP !== undefined && inTime;
  const begin = deliver && { deliver: { startBy: startBy(session, pod, limits, now) } };
  // Whoever is to open its WebSocket must be told at once which pod it has.
  const isTold = session.status?.phase === 'Starting' || session.spec.transport === 'WebSocket';
  const untold =
    readBinding(pod)?.startKind === 'Warm' && !isTold ? admittedAt(session, pod) + WARM_START_UNTOLD_MS - now : 0;
  if (untold > 0) return { ...begin, requeueAfterMs: untold };
  return {
    ...begin,
    ...changed(session, startingStatus(session, pod, limits, waitCause(pod), now)),
    requeueAfterMs: soonest(view, limits, wait),
  };
}

/** Until when this pod may start the session: one that was ready has less time than the Session, which may get another then. */
function startBy(session: Session, pod: Pod, limits: SessionLimitsInForce, now: number): number {
  const window = readBinding(pod)?.startWindowSeconds ?? Infinity;
  return Math.min(startDeadline(session, pod, limits), now + window * 1000);
}

function planEnd(
  session: Session,
  pod: Pod,
  outcome: Outcome,
  now: number,
  delivery: Delivery | undefined,
): SessionPlan {
  const startedAt = sessionStartedAt(session, pod, delivery);
  return { status: endedStatus(session, pod, outcome, now, startedAt), ended: { outcome, pod }, ...letGo(pod) };
}

/**
 * Asks the supervisor to end the session, or the kubelet to end the pod (its logs stay), or deletes a pod that no kubelet has; by
 * force when nobody obeys.
 */
function planStop(
  view: SessionView,
  session: Session,
  pod: Pod,
  intent: Intent,
  limits: SessionLimitsInForce,
): SessionPlan {
  const { now, delivery } = view;
  const { status } = session;
  const stoppingSince =
    status?.phase === 'Stopping' && status.stoppingAt !== undefined ? Date.parse(status.stoppingAt) : now;
  // A kubelet that has let a session pass its limit has had its time already. When the session has ended, this is its goodbye.
  const ignored = intent.reason === 'DeadlineExceeded' && sessionProcessExit(pod) === undefined;
  const patience = ignored ? 0 : limits.terminationGracePeriodSeconds * 1000 + KUBELET_SLACK_MS;
  const forceAfter = stoppingSince + patience;
  const startedAt = sessionStartedAt(session, pod, delivery);
  const next = changed(session, stoppingStatus(session, pod, limits, intent, now, startedAt));
  if (forceAfter <= now) return { deletePod: { gracePeriodSeconds: 0 }, ...next };
  const again = { requeueAfterMs: forceAfter - now };
  if (!isScheduled(pod)) return { ...(!isBeingDeleted(pod) && { deletePod: {} }), ...next, ...again };
  const saysGoodbye = isHttp(pod) && sessionProcessExit(pod) !== undefined;
  if (saysGoodbye && status?.phase !== 'Stopping') return planTeardown(session, pod, now, intent);
  if (saysGoodbye || isBeingDeleted(pod) || isToldToStop(pod)) return { ...next, ...again };
  // One that waits for its agent must not begin any more.
  if (pod.status?.podIP !== undefined && isHttp(pod) && (startedAt !== undefined || delivery?.sent === true)) {
    // What follows from nothing but this moment is written down first: afterwards a stopped supervisor would look like a lost one.
    if (intent.reason !== 'Stopped' && status?.phase !== 'Stopping') return { ...next, ...again };
    const asked = delivery?.stopAskedMsAgo;
    if (asked === undefined) return { askToStop: true, requeueAfterMs: STOP_UNTOLD_MS };
    // Mostly it is over in a moment: that is not worth a status.
    if (asked < STOP_UNTOLD_MS) return { requeueAfterMs: STOP_UNTOLD_MS - asked };
    if (asked < SUPERVISOR_PATIENCE_MS) return { ...next, requeueAfterMs: SUPERVISOR_PATIENCE_MS - asked };
  }
  return { deadlineSeconds: STOP_NOW_SECONDS, ...next, ...again };
}

/**
 * What ran the session is gone and its pod is not: unless that settles by itself, this is told, and the other containers are told to
 * end too. A node whose clock is ahead of ours puts that off by the difference, and nothing else depends on it.
 */
function planTeardown(session: Session, pod: Pod, now: number, intent: Intent | undefined): SessionPlan {
  // An agent of protocol Http is mostly gone in a moment: that is not worth a status.
  const othersRun = !isHttp(pod) && (pod.status?.containerStatuses?.some((status) => status.state?.running) ?? false);
  const finishedAt = Date.parse(sessionProcessExit(pod)?.finishedAt ?? '');
  const waited = now - finishedAt;
  // How a connection broke is noted at once: an agent that has ended is started again, and the kubelet soon forgets; one that has not is
  // about to be told to.
  const broken = sessionRecord(pod)?.outcome === 'ConnectionBroken';
  if (!othersRun && !broken && waited < TEARDOWN_PATIENCE_MS) return { requeueAfterMs: TEARDOWN_PATIENCE_MS };
  const startedAt = sessionStartedAt(session, pod);
  const outcome = toldOutcome(pod, intent);
  return { status: stoppingStatus(session, pod, limitsOf(session, pod), outcome, now, startedAt) };
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
