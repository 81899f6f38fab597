import { agentContainer } from '../../src/api/names.ts';
import {
  containerIdOf,
  startedContainer,
  terminatedState,
  timeOf,
  unstarted,
  type ContainerStatus,
} from './fake-container-status.ts';
import { agentReadiness, restartOf, visibleSupervisorEnd } from './fake-http-pod.ts';
import type { PodView } from './fake-pod-status.ts';
import type { AgentMemory, FakedContainer, FakedPod, PodMemory, PodScript } from './fake-pod.ts';

/** What a kubelet shows of a pod of `protocol: Http`. */
export function httpViewOf(memory: PodMemory, pod: FakedPod, script: PodScript, now: number): PodView {
  const { seenAt, runningAt, agent, boundAt, end } = memory;
  const over = visibleSupervisorEnd(memory) ?? end;
  const agentRuns = agent !== undefined && agent.end === undefined;
  // As the supervisor answers its probe: once it is bound it is ready, whatever the agent says.
  const supervisorReady =
    agent !== undefined &&
    over === undefined &&
    (boundAt !== undefined || agentReadiness(memory, script, now) === 'ready');
  const ready = supervisorReady && agentRuns;
  return {
    initialized: { holds: runningAt !== undefined, since: runningAt ?? seenAt },
    ready: {
      holds: ready,
      since: ready ? readySince(memory, script) : (endedAt(memory) ?? agent?.startedAt ?? seenAt),
    },
    containerStatuses: pod.spec.containers.map((container) =>
      mainStatus(container, memory, pod, visibleSupervisorEnd(memory), supervisorReady),
    ),
    initContainerStatuses: (pod.spec.initContainers ?? []).map((container) => {
      if (container.restartPolicy !== 'Always') return finishedStatus(container, memory, pod, script);
      if (container.name === agentContainer) return agentStatus(container, memory, pod, script);
      return mainStatus(container, memory, pod, end && { code: script.stopExitCode ?? 143, at: end.at }, true);
    }),
  };
}

function readySince({ agent, boundAt = Infinity }: PodMemory, { readyDelayMs = 0 }: PodScript): number {
  const startedAt = agent?.startedAt ?? 0;
  return Math.max(startedAt, Math.min(boundAt, startedAt + readyDelayMs));
}

/** When the first of supervisor and agent ended. */
function endedAt(memory: PodMemory): number | undefined {
  const times = [visibleSupervisorEnd(memory)?.at, memory.agent?.end?.at, memory.end?.at];
  const known = times.filter((at) => at !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** The supervisor, and the user's sidecars: once they run, they run until `end`. */
function mainStatus(
  container: FakedContainer,
  { runningAt }: PodMemory,
  pod: FakedPod,
  end: PodMemory['supervisorEnd'],
  ready: boolean,
): ContainerStatus {
  // Also when the pod ends before: a kubelet makes nothing up about containers whose turn had not come (`TerminatePod`).
  if (runningAt === undefined) return unstarted(container, initializing);
  const known = startedContainer(pod, container);
  if (end === undefined)
    return { ...known, ready, started: true, state: { running: { startedAt: timeOf(runningAt) } } };
  return { ...known, state: { terminated: terminatedState(end, runningAt, containerIdOf(pod, container.name)) } };
}

/** An init container of the user: it is over before the agent's turn comes. */
function finishedStatus(
  container: FakedContainer,
  { runningAt, seenAt }: PodMemory,
  pod: FakedPod,
  script: PodScript,
): ContainerStatus {
  if (runningAt === undefined && script.waiting === undefined) return unstarted(container, initializing);
  const terminated = terminatedState({ code: 0, at: seenAt }, seenAt, containerIdOf(pod, container.name));
  return { ...startedContainer(pod, container), ready: true, state: { terminated } };
}

function agentStatus(container: FakedContainer, memory: PodMemory, pod: FakedPod, script: PodScript): ContainerStatus {
  const { agent } = memory;
  if (agent === undefined) {
    return unstarted(container, script.waiting === undefined ? initializing : { waiting: script.waiting });
  }
  const known = startedContainer(pod, container, agent.restarts);
  const earlier = agent.last === undefined ? undefined : terminatedRun(pod, container, agent.last, agent.restarts - 1);
  const lastState = earlier === undefined ? {} : { lastState: { terminated: earlier } };
  const terminated = terminatedRun(pod, container, agent, agent.restarts);
  if (terminated === undefined) {
    const running = { startedAt: timeOf(agent.startedAt) };
    return { ...known, ...lastState, ready: true, started: true, state: { running } };
  }
  if (agent.restarts > 0 && restartOf(agent, memory) !== undefined) {
    const waiting = { reason: 'CrashLoopBackOff', message: `back-off restarting failed container ${container.name}` };
    return { ...known, lastState: { terminated }, state: { waiting } };
  }
  return { ...known, ...lastState, state: { terminated } };
}

function terminatedRun(
  pod: FakedPod,
  { name }: FakedContainer,
  { startedAt, end }: Pick<AgentMemory, 'startedAt' | 'end'>,
  restarts: number,
) {
  return end && terminatedState(end, startedAt, containerIdOf(pod, name, restarts));
}

const initializing = { waiting: { reason: 'PodInitializing' } };
