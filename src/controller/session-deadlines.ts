import { agentLimits } from '../api/limits.ts';
import type { Session, SessionLimitsInForce } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding } from '../pods/binding.ts';

/** How long the kubelet gets beyond a pod's grace period until the controller deletes the pod by force. */
export const KUBELET_SLACK_MS = 60_000;

/** The limits in force: the pod's own record, else the status', else the defaults of an Agent that says nothing. */
export function limitsOf(session: Session, pod: Pod): SessionLimitsInForce {
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

/** When the Session was admitted, in Unix milliseconds of the controller's clock. */
export function admittedAt(session: Session, pod: Pod): number {
  return Date.parse(session.status?.admittedAt ?? readBinding(pod)?.admittedAt ?? pod.metadata.creationTimestamp);
}

/** When the Session must have started, in Unix milliseconds of the controller's clock. */
export function startDeadline(session: Session, pod: Pod, limits: SessionLimitsInForce): number {
  const startBefore = Date.parse(session.spec.startBefore ?? '') || Infinity;
  return Math.min(admittedAt(session, pod) + limits.startTimeoutSeconds * 1000, startBefore);
}

export function startDeadlineMissed({ spec }: Session, limits: SessionLimitsInForce): string {
  const before = spec.startBefore === undefined ? '' : `, or before ${spec.startBefore}`;
  return `it did not start within ${limits.startTimeoutSeconds} s${before}`;
}

/**
 * What `activeDeadlineSeconds` of a pod of protocol Process must be once the agent has started, or undefined when it is that
 * already (or less).
 *
 * The kubelet counts it from `status.startTime`, which like `startedAt` is a whole second of its clock, and checks
 * once a second. The agent may have started up to a second after what `startedAt` says, so one second is added: a
 * session is never cut before its limit, and at most about two seconds after it.
 */
export function runningDeadline(pod: Pod, startedAt: string, limits: SessionLimitsInForce): number | undefined {
  const acceptedAt = pod.status?.startTime;
  if (acceptedAt === undefined) return undefined;
  const elapsed = Math.max(0, Math.round((Date.parse(startedAt) - Date.parse(acceptedAt)) / 1000));
  const wanted = elapsed + limits.maxSessionDuration + 1;
  const current = pod.spec?.activeDeadlineSeconds;
  return current === undefined || current > wanted ? wanted : undefined;
}

/** How long until the controller itself must end a session that its pod should have ended; not positive when it must now. */
export function overdueAfterMs(session: Session, limits: SessionLimitsInForce, now: number): number {
  const started = session.status?.conditions?.find(
    (condition) => condition.type === 'Started' && condition.status === 'True',
  );
  // Our own clock saw it start. Before that is written there is nothing to be overdue of.
  const since = started === undefined ? now : Date.parse(started.lastTransitionTime);
  return since + (limits.maxSessionDuration + limits.terminationGracePeriodSeconds) * 1000 + KUBELET_SLACK_MS - now;
}
