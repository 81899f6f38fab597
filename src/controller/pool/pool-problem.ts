import type { Agent } from '../../api/agent.ts';
import type { AgentReason, PoolReason } from '../../api/reasons.ts';
import type { Pod } from '../../kube/objects.ts';
import { sessionRecord, supervisorTerminated } from '../../pods/session-record.ts';
import { disruptionOf, neverStarted } from '../session-outcome.ts';
import { lateAt, type WarmPod } from './warm-pods.ts';

/** Why pods are not ready that should be. */
export interface Problem {
  reason: AgentReason;
  message: string;
}

/** The worst first: what only a person can remove. */
const ORDER: readonly PoolReason[] = [
  'ImagePullFailed',
  'ContainerConfigError',
  'CrashLoopBackOff',
  'Unschedulable',
  'AgentNotReady',
];

/**
 * Why pods of a revision are not ready; undefined while they are merely on their way.
 *
 * @param pods those of the revision
 * @param now Unix milliseconds, by the controller's clock
 */
export function poolProblem(
  pods: readonly WarmPod[],
  startTimeoutSeconds: number,
  now: number,
): { reason: PoolReason; message: string } | undefined {
  const causes = pods
    .filter(({ leaving }) => !leaving)
    .flatMap((pod) => {
      const early = pod.cause?.reason === 'AgentNotReady' && lateAt(pod, startTimeoutSeconds) > now;
      return pod.cause === undefined || early ? [] : [pod.cause];
    });
  for (const reason of ORDER) {
    const found = causes.find((cause) => cause.reason === reason);
    if (found !== undefined) return { reason, message: `a warm pod: ${found.message}` };
  }
  return undefined;
}

/** What a leader before this one has found out of this revision. */
export function problemBefore({ status }: Agent, revision: string): Problem | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (status?.revision !== revision || ready?.status !== 'False') return undefined;
  const reason = ready.reason as AgentReason;
  return BLAMED.has(reason) ? { reason, message: ready.message } : undefined;
}

/**
 * What speaks of the pods of a revision, and not of a moment in which the API server, a quota or the nodes have no room: the last good
 * one would only take the place that the present one waits for.
 */
const BLAMED: ReadonlySet<AgentReason> = new Set<AgentReason>([
  'ImagePullFailed',
  'ContainerConfigError',
  'CrashLoopBackOff',
  'AgentNotReady',
  'PodFailed',
  'AdmissionDenied',
  'InvalidSpec',
]);

/**
 * Whether a problem is the revision's own. That no node has room is, once a pod has waited for longer than a session would.
 *
 * @param pods those of the revision
 * @param now Unix milliseconds, by the controller's clock
 */
export function blamesRevision(
  { reason }: Problem,
  pods: readonly WarmPod[],
  startTimeoutSeconds: number,
  now: number,
): boolean {
  if (reason !== 'Unschedulable') return BLAMED.has(reason);
  return pods.some((pod) => pod.cause?.reason === reason && lateAt(pod, startTimeoutSeconds) <= now);
}

/** When the first of them that is not ready takes too long for it; undefined when none is on its way. */
export function lateInMs(pods: readonly WarmPod[], startTimeoutSeconds: number, now: number): number | undefined {
  const ahead = pods
    .filter(({ leaving, ready }) => !leaving && !ready)
    .map((pod) => lateAt(pod, startTimeoutSeconds) - now)
    .filter((ms) => ms > 0);
  return ahead.length === 0 ? undefined : Math.min(...ahead);
}

/** How a pod ended that waited. */
export function whyEnded(pod: Pod): string {
  const said = sessionRecord(pod)?.message ?? disruptionOf(pod);
  const exit = supervisorTerminated(pod);
  return said ?? (exit === undefined ? neverStarted(pod).message : `its supervisor exited with code ${exit.exitCode}`);
}
