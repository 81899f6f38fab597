import { agentContainer } from '../api/names.ts';
import type { Pod } from '../kube/objects.ts';

export type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];
export type Terminated = NonNullable<NonNullable<ContainerStatus['state']>['terminated']>;

/** Terminal: every container has stopped for good. Only then does a pod stop to count against the limit of its Agent. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Live: it holds one of its Agent's places, be it starting, busy or stopping. */
export function isLive(pod: Pod): boolean {
  return !isTerminal(pod);
}

export function isScheduled(pod: Pod): boolean {
  return Boolean(pod.spec?.nodeName);
}

export function isBeingDeleted(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** Whether the kubelet has been told to stop this pod now and keep its logs. */
export function isToldToStop(pod: Pod): boolean {
  return pod.spec?.activeDeadlineSeconds === STOP_NOW_SECONDS;
}

/** `activeDeadlineSeconds` lowered to this means: stop now, but keep the pod and its logs. */
export const STOP_NOW_SECONDS = 1;

/** With protocol Http the agent is a native sidecar, which Kubernetes counts among the init containers. */
export function agentStatus(pod: Pod): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses].find((status) => status.name === agentContainer);
}

/** Whether the kubelet says that the pod can take what it is for. */
export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** An init container of the user's that ended with an error. The agent itself may be among them, as a native sidecar. */
export function failedInitContainer(pod: Pod): ContainerStatus | undefined {
  return pod.status?.initContainerStatuses?.find(
    ({ name, state }) => name !== agentContainer && (state?.terminated?.exitCode ?? 0) !== 0,
  );
}

/** When the agent's container started, by the kubelet's clock in whole seconds; undefined while it has not. */
export function agentStartedAt(pod: Pod): string | undefined {
  const state = agentStatus(pod)?.state;
  return state?.running?.startedAt ?? startOf(state?.terminated);
}

/** A container that never ran (a bad command, a lost node) reports the zero time or none. */
function startOf(terminated: Terminated | undefined): string | undefined {
  const startedAt = terminated?.startedAt;
  return startedAt === undefined || Date.parse(startedAt) <= 0 ? undefined : startedAt;
}

export function agentTerminated(pod: Pod): Terminated | undefined {
  return agentStatus(pod)?.state?.terminated;
}

/**
 * Whether the pod's sandbox (what holds its namespaces and network) died under the agent. The kubelet then ends the agent
 * as on a stop, so that one with a polite goodbye looks as if it had succeeded.
 *
 * While the agent runs, the condition PodReadyToStartContainers is False only then: the kubelet writes it before it ends
 * the agent. It turns False after every other end too; what tells the two apart is the order. Both times are the kubelet's
 * clock in whole seconds, and within one second the agent is believed.
 */
export function hasLostSandbox(pod: Pod): boolean {
  const condition = pod.status?.conditions?.find((entry) => entry.type === 'PodReadyToStartContainers');
  if (condition?.status !== 'False') return false;
  const state = agentStatus(pod)?.state;
  if (state?.running !== undefined) return true;
  const { finishedAt } = state?.terminated ?? {};
  if (finishedAt === undefined || condition.lastTransitionTime === undefined) return false;
  return Date.parse(condition.lastTransitionTime) < Date.parse(finishedAt);
}

/**
 * When the last container finished, by the kubelet's clock in whole seconds: the end of the teardown. Undefined while a
 * container may still run, as on a node that is lost: what an init container or a helper did earlier is no end.
 */
export function lastFinishedAt(pod: Pod): string | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const all = [...initContainerStatuses, ...containerStatuses];
  // A pod that Kubernetes itself has declared Failed, as with its node, keeps what its kubelet said last.
  if (all.some(({ state }) => state?.running !== undefined)) return undefined;
  if (!isTerminal(pod) && (containerStatuses.length === 0 || all.some(({ state }) => !state?.terminated)))
    return undefined;
  return all
    .map((status) => status.state?.terminated?.finishedAt)
    .filter((time) => time !== undefined && Date.parse(time) > 0)
    .sort()
    .at(-1);
}

/** Why a pod has not started yet, in the words that a person needs; undefined where nothing is wrong (yet). */
export interface WaitCause {
  reason:
    | 'Unschedulable'
    | 'ImagePullFailed'
    | 'ContainerConfigError'
    | 'CrashLoopBackOff'
    | 'ContainerCreating'
    | 'AgentNotReady';
  message: string;
}

/** A container that was started again so often is in a loop. */
const CRASH_LOOP = 2;

/** Characters of a log line that are worth passing on. */
const LAST_LINE = 500;

const IMAGE_PROBLEMS = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);
const CONFIG_PROBLEMS = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PreStartHookError',
  'PostStartHookError',
]);

/** What is on its way and needs nobody. */
export function isSlow({ reason }: WaitCause): boolean {
  return reason === 'ContainerCreating' || reason === 'AgentNotReady';
}

export function waitCause(pod: Pod): WaitCause | undefined {
  const unscheduled = pod.status?.conditions?.find(
    (condition) => condition.type === 'PodScheduled' && condition.status === 'False',
  );
  if (unscheduled) return { reason: 'Unschedulable', message: unscheduled.message ?? 'no node fits the pod' };
  for (const status of [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]) {
    const waiting = status.state?.waiting;
    const reason = waiting?.reason ?? '';
    const message = waiting?.message ?? reason;
    if (IMAGE_PROBLEMS.has(reason)) return { reason: 'ImagePullFailed', message: `${reason}: ${message}` };
    if (CONFIG_PROBLEMS.has(reason)) return { reason: 'ContainerConfigError', message: `${reason}: ${message}` };
    if (reason === 'CrashLoopBackOff') return { reason, message: crashOf(status) };
  }
  const agent = agentStatus(pod);
  // Between two crashes it runs for a moment.
  if (agent !== undefined && agent.restartCount >= CRASH_LOOP && !isReady(pod))
    return { reason: 'CrashLoopBackOff', message: crashOf(agent) };
  if (isTerminal(pod)) return undefined;
  if (agent?.state?.running !== undefined)
    return {
      reason: 'AgentNotReady',
      message: `the agent runs, but it does not say that it is ready${agent.restartCount > 0 ? `; ${crashOf(agent)}` : ''}`,
    };
  return isScheduled(pod) ? { reason: 'ContainerCreating', message: 'the node is preparing the container' } : undefined;
}

function crashOf({ name, restartCount, lastState, state }: ContainerStatus): string {
  const exit = lastState?.terminated ?? state?.terminated;
  const how =
    exit?.reason === 'OOMKilled' ? 'used more memory than its limit' : `exited with code ${exit?.exitCode ?? '?'}`;
  return `container ${name} ${how}, and was started ${restartCount} times again${lastLine(exit?.message)}`;
}

/** The kubelet puts the end of the log into the message of a container that failed. */
export function lastLine(message: string | undefined): string {
  const line = message?.trimEnd().split('\n').at(-1)?.trim() ?? '';
  return line === '' ? '' : `: ${line.slice(0, LAST_LINE)}`;
}
