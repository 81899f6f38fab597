import type { EndReason } from '../api/reasons.ts';
import type { Session, SessionLimitsInForce } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import {
  agentTerminated,
  hasLostSandbox,
  isBeingDeleted,
  isScheduled,
  isSlow,
  isTerminal,
  waitCause,
} from '../pods/pod-facts.ts';
import { isHttp } from '../pods/session-record.ts';
import { httpOutcome, unlessTold } from './http-outcome.ts';
import { overdueAfterMs, startDeadline, startDeadlineMissed } from './session-deadlines.ts';
import { sessionProcessExit, sessionStartedAt, type Delivery } from './session-facts.ts';
import { outcomeOf, removedOutcome, SANDBOX_LOST, type Intent, type Outcome } from './session-outcome.ts';

/** What a session is planned from. */
export interface SessionView {
  /** The Session of this uid, or undefined when it has been deleted. */
  session: Session | undefined;
  /** The pod bound to this uid, or undefined when there is none. */
  pod: Pod | undefined;
  /** What this process knows of handing the Session to the pod's supervisor. */
  delivery?: Delivery | undefined;
  /** Whether another pod is bound to this uid too: it is told to end, and until it has, nobody is told to begin. */
  rival?: 'ending' | 'mayHaveRun' | undefined;
  node: NodeState;
  /** Unix milliseconds, by the controller's clock. */
  now: number;
}

/** What is known of the node that a pod is on. `silentForMs` is measured by our own monotonic clock. */
export type NodeState = { state: 'answers' | 'gone' } | { state: 'silent'; silentForMs: number };

/** The supervisor keeps the start timeout itself; it has this much longer to say so. */
export const NEVER_READY_SLACK_MS = 2_000;

/**
 * Why the controller wants the session to end, or has wanted it. A decision that is already in the status stands;
 * otherwise it follows from durable facts, so that a crash between deciding and writing changes nothing.
 */
export function intentOf(
  { now, delivery, rival }: SessionView,
  session: Session,
  pod: Pod,
  limits: SessionLimitsInForce,
): Intent | undefined {
  const { status } = session;
  if (status?.phase === 'Stopping' && status.reason !== undefined) {
    const exitCode = status.exitCode === undefined ? {} : { exitCode: status.exitCode };
    return { reason: status.reason as EndReason, message: status.message ?? '', ...exitCode };
  }
  if (session.spec.stop === true) return { reason: 'Stopped', message: 'spec.stop was set' };
  if (session.metadata.deletionTimestamp !== undefined)
    return { reason: 'Stopped', message: 'the Session was deleted' };
  if (rival === 'mayHaveRun')
    return { reason: 'Lost', message: 'two pods were bound to it, and the other one may have run it' };
  // Written down while the agent still runs: afterwards its polite goodbye would look like success.
  if (!isHttp(pod) && hasLostSandbox(pod) && agentTerminated(pod) === undefined) return SANDBOX_LOST;
  const startedAt = sessionStartedAt(session, pod, delivery);
  const startSlack = isHttp(pod) && delivery?.sent === true ? NEVER_READY_SLACK_MS : 0;
  if (
    startedAt === undefined &&
    !isUnasked(pod, delivery) &&
    startDeadline(session, pod, limits) + startSlack <= now &&
    sessionProcessExit(pod) === undefined
  ) {
    const waits = waitCause(pod);
    // What is wrong with the pod says more than that its supervisor does not answer.
    const cause = waits !== undefined && !isSlow(waits) ? waits.message : (delivery?.problem ?? waits?.message);
    const message = startDeadlineMissed(session, limits);
    return { reason: 'StartTimeout', message: cause === undefined ? message : `${message}: ${cause}` };
  }
  if (startedAt !== undefined && overdueAfterMs(session, limits, now) <= 0) {
    return {
      reason: 'DeadlineExceeded',
      message: 'the session reached its maximum duration and its node did not end it',
    };
  }
  return undefined;
}

/** Whether the pod's supervisor may have begun the session without this process knowing: then it is to be asked first. */
export function isUnasked(pod: Pod, delivery: Delivery | undefined): boolean {
  if (!isHttp(pod) || pod.status?.podIP === undefined || sessionProcessExit(pod) !== undefined) return false;
  return delivery === undefined || delivery.unasked === true;
}

/** How the session ended, told by what ran it. */
export function toldOutcome(pod: Pod, intent: Intent | undefined, delivery?: Delivery): Outcome {
  return isHttp(pod) ? httpOutcome(pod, intent, delivery) : outcomeOf(pod, intent);
}

/** Whether the session is over, and how; undefined while its pod may still do something. */
export function overOutcome(
  view: SessionView,
  pod: Pod,
  limits: SessionLimitsInForce | undefined,
  intent: Intent | undefined,
): Outcome | undefined {
  if (isTerminal(pod)) return toldOutcome(pod, intent, view.delivery);
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
  if (!isScheduled(pod) || pod.metadata.deletionGracePeriodSeconds === 0) {
    // Nobody could speak to one that never had an address.
    const told = isHttp(pod) && pod.status?.podIP !== undefined ? undefined : false;
    return intent === undefined ? removedOutcome(pod) : unlessTold(intent, told, view.delivery);
  }
  return undefined;
}
