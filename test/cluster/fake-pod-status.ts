import {
  containerIdOf,
  startedContainer,
  terminatedState,
  timeOf,
  unknownEnd,
  unstarted,
  type ContainerStatus,
} from './fake-container-status.ts';
import { httpViewOf } from './fake-http-pod-status.ts';
import { isHttpPod } from './fake-http-pod.ts';
import type { FakedContainer, FakedPod, PodMemory, PodScript } from './fake-pod.ts';

/** Addresses that the kubelet gives and reports. */
export interface PodAddresses {
  podIP: string;
  hostIP: string;
}

/** What the two shapes of pods show differently. Times are those of the last change. */
export interface PodView {
  initialized: { holds: boolean; since: number };
  ready: { holds: boolean; since: number };
  containerStatuses: ContainerStatus[];
  initContainerStatuses: ContainerStatus[];
}

/** The status that a kubelet would report now, as the body of a strategic merge patch. */
export function statusOf(
  memory: PodMemory,
  pod: FakedPod,
  script: PodScript,
  addresses: PodAddresses,
  now: number,
): Record<string, unknown> {
  const { seenAt, runningAt, end } = memory;
  const running = runningAt !== undefined && end === undefined;
  const finished = end !== undefined && end.code === 0 && memory.stop?.cause === undefined;
  const cause = memory.stop?.cause;
  const view = (isHttpPod(pod) ? httpViewOf : plainViewOf)(memory, pod, script, now);
  const notReady = finished ? 'PodCompleted' : 'ContainersNotReady';
  const condition = (type: string, { holds, since }: PodView['ready'], otherwise: string | null) => ({
    type,
    status: holds ? 'True' : 'False',
    lastTransitionTime: timeOf(since),
    // Conditions are merged, so a reason that no longer holds has to be taken away.
    reason: holds ? null : otherwise,
  });
  return {
    phase: phaseOf(memory),
    ...(end === undefined || cause === undefined ? {} : { reason: cause.reason, message: cause.message }),
    startTime: timeOf(memory.startTime),
    hostIP: addresses.hostIP,
    hostIPs: [{ ip: addresses.hostIP }],
    ...(runningAt === undefined ? {} : { podIP: addresses.podIP, podIPs: [{ ip: addresses.podIP }] }),
    conditions: [
      condition(
        'PodReadyToStartContainers',
        { holds: running, since: runningAt === undefined ? seenAt : (end?.at ?? runningAt) },
        notReady,
      ),
      condition('Initialized', view.initialized, 'ContainersNotInitialized'),
      condition('Ready', view.ready, notReady),
      condition('ContainersReady', view.ready, notReady),
    ],
    containerStatuses: view.containerStatuses,
    ...(view.initContainerStatuses.length === 0 ? {} : { initContainerStatuses: view.initContainerStatuses }),
  };
}

function phaseOf({ runningAt, end, stop }: PodMemory): string {
  if (end === undefined) return runningAt === undefined ? 'Pending' : 'Running';
  return end.code === 0 && stop?.cause === undefined ? 'Succeeded' : 'Failed';
}

function plainViewOf(memory: PodMemory, pod: FakedPod, script: PodScript, now: number): PodView {
  const { seenAt, runningAt, end } = memory;
  const running = runningAt !== undefined && end === undefined;
  const readyAt = runningAt === undefined ? undefined : runningAt + (script.readyDelayMs ?? 0);
  const ready = running && now >= (readyAt ?? Infinity);
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  return {
    initialized: { holds: true, since: seenAt },
    ready: { holds: ready, since: readyAt === undefined ? seenAt : (end?.at ?? readyAt) },
    containerStatuses: pod.spec.containers.map((container) => containerStatus(container, memory, pod, script, ready)),
    initContainerStatuses: sidecars.map((sidecar) => containerStatus(sidecar, memory, pod, script, running)),
  };
}

function containerStatus(
  container: FakedContainer,
  { runningAt, end }: PodMemory,
  pod: FakedPod,
  script: PodScript,
  ready: boolean,
): ContainerStatus {
  if (runningAt === undefined) {
    const waiting = script.waiting ?? { reason: 'ContainerCreating' };
    return unstarted(container, end === undefined ? { waiting } : { terminated: unknownEnd });
  }
  const known = { ...startedContainer(pod, container), ready };
  if (end === undefined) return { ...known, started: true, state: { running: { startedAt: timeOf(runningAt) } } };
  return { ...known, state: { terminated: terminatedState(end, runningAt, containerIdOf(pod, container.name)) } };
}
