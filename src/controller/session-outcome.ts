import type { EndReason } from '../api/reasons.ts';
import type { Pod } from '../kube/objects.ts';
import {
  agentStartedAt,
  agentTerminated,
  failedInitContainer,
  hasLostSandbox,
  isBeingDeleted,
  isScheduled,
  lastLine,
  type Terminated,
} from '../pods/pod-facts.ts';

/** How a session ended, read off its pod. */
export interface Outcome {
  reason: EndReason;
  /** For people: one sentence. Empty where the reason says it all. */
  message: string;
  exitCode?: number;
}

/** Why the controller had decided to end the session, if it had. It wins over what the pod shows afterwards. */
export interface Intent {
  reason: EndReason;
  message: string;
  exitCode?: number;
}

/**
 * How a session ended whose pod is terminal, or whose agent has terminated.
 *
 * The order matters: a disruption by Kubernetes explains an exit code, the other way round it does not, and a decision
 * of ours explains both.
 */
export function outcomeOf(pod: Pod, intent: Intent | undefined): Outcome {
  const exit = agentTerminated(pod);
  const exitCode = exit === undefined ? {} : { exitCode: exit.exitCode };
  const disruption = disruptionOf(pod);
  // OOM is the agent's own doing even where the kernel struck while a stop was under way.
  if (exit?.reason === 'OOMKilled')
    return { reason: 'OutOfMemory', message: 'the agent used more memory than its limit', ...exitCode };
  if (intent !== undefined && endedByUs(pod, intent)) return { ...intent, ...exitCode };
  if (disruption !== undefined) return { reason: 'Lost', message: disruption, ...exitCode };
  if (pod.status?.reason === 'DeadlineExceeded') return { ...deadlineOutcome(pod), ...exitCode };
  if (exit !== undefined && isBeingDeleted(pod) && !finishedBeforeDeletion(pod, exit)) {
    return { reason: 'Lost', message: 'the pod was deleted', ...exitCode };
  }
  if (exit !== undefined && hasLostSandbox(pod)) return { ...SANDBOX_LOST, ...exitCode };
  if (exit !== undefined) return { ...exitOutcome(exit), ...exitCode };
  return neverStarted(pod);
}

/** How a session ended whose pod was deleted so that no kubelet will report its end: it had no node, or went by force. */
export function removedOutcome(pod: Pod): Outcome {
  const deleted = isScheduled(pod) ? 'the pod was deleted by force' : 'the pod was deleted before it had a node';
  return { reason: 'Lost', message: disruptionOf(pod) ?? deleted };
}

/** What `hasLostSandbox` means for the session. */
export const SANDBOX_LOST: Outcome = { reason: 'Lost', message: 'the sandbox of the pod died' };

/** Whether a decision of ours, and not the agent itself, ended it: an agent that exits by itself first keeps its own outcome. */
function endedByUs(pod: Pod, intent: Intent): boolean {
  if (intent.reason === 'Completed' || intent.reason === 'Failed') return true; // The agent's own end, noted before a slow teardown.
  if (intent.reason === 'Lost') return true; // The agent was seen to lose what it ran in; how it took that is no outcome.
  return pod.status?.reason === 'DeadlineExceeded' || isBeingDeleted(pod);
}

/** The kubelet enforced `activeDeadlineSeconds` by itself, without a decision of ours. */
function deadlineOutcome(pod: Pod): Outcome {
  return agentStartedAt(pod) === undefined
    ? { reason: 'StartTimeout', message: 'the agent did not start in time' }
    : { reason: 'DeadlineExceeded', message: 'the session reached its maximum duration' };
}

function exitOutcome(exit: Terminated): Outcome {
  if (exit.reason === 'ContainerStatusUnknown') return { reason: 'Lost', message: 'the node lost track of the agent' };
  if (exit.exitCode === 0) return { reason: 'Completed', message: '' };
  const detail = exit.message ? `: ${exit.message}` : '';
  if (exit.reason === 'StartError') return { reason: 'Failed', message: `the agent could not be started${detail}` };
  return { reason: 'Failed', message: `the agent exited with code ${exit.exitCode}${lastLine(exit.message)}` };
}

/** Terminal without the agent's own record: an init container failed, or the node refused the pod. */
export function neverStarted(pod: Pod): Outcome {
  if (isBeingDeleted(pod)) return { reason: 'Lost', message: 'the pod was deleted before the agent started' };
  const init = failedInitContainer(pod);
  const exit = init?.state?.terminated;
  if (init !== undefined && exit !== undefined) {
    return {
      reason: 'Failed',
      message: `init container ${init.name} exited with code ${exit.exitCode}`,
      exitCode: exit.exitCode,
    };
  }
  const why = [pod.status?.reason, pod.status?.message].filter(Boolean).join(': ');
  return {
    reason: 'Lost',
    message: why === '' ? 'the pod ended without a record of the agent' : `the node refused the pod: ${why}`,
  };
}

/** What Kubernetes says when it, and not the agent, ended a pod. */
export function disruptionOf(pod: Pod): string | undefined {
  const condition = pod.status?.conditions?.find(
    (entry) => entry.type === 'DisruptionTarget' && entry.status === 'True',
  );
  if (condition !== undefined) {
    const what =
      DISRUPTIONS[condition.reason ?? ''] ?? `the pod was disrupted (${condition.reason ?? 'no reason given'})`;
    return condition.message ? `${what}: ${condition.message}` : what;
  }
  switch (pod.status?.reason) {
    case 'Evicted':
      return `the pod was evicted: ${pod.status.message ?? ''}`;
    case 'Preempting':
      return 'the pod was preempted by the node';
    case 'NodeShutdown':
    case 'Terminated':
      return 'the node shut down';
    case undefined:
    default:
      return undefined;
  }
}

/** Reasons of the condition DisruptionTarget: kubernetes.io/docs/concepts/workloads/pods/disruptions. */
const DISRUPTIONS: Record<string, string> = {
  EvictionByEvictionAPI: 'the pod was evicted',
  PreemptionByScheduler: 'the pod was preempted',
  DeletionByTaintManager: 'the pod was evicted because of a taint of its node',
  DeletionByPodGC: 'the pod was lost with its node',
  TerminationByKubelet: 'the node ended the pod',
};

/**
 * Whether the agent had finished before somebody deleted the pod. `deletionTimestamp` is the end of the grace period,
 * so the request came that much earlier. The clocks are two machines', in whole seconds: this decides between two
 * words for the same second, nothing else depends on it.
 */
function finishedBeforeDeletion(pod: Pod, exit: Terminated): boolean {
  const requestedAt =
    Date.parse(pod.metadata.deletionTimestamp ?? '') - (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  return exit.finishedAt !== undefined && Date.parse(exit.finishedAt) < requestedAt;
}
