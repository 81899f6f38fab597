import type { FakedPod, PodMemory, PodScript } from './fake-pod.ts';

/** Addresses that the kubelet gives and reports. */
export interface PodAddresses {
  podIP: string;
  hostIP: string;
}

/** The status that a kubelet would report now, as the body of a strategic merge patch. */
export function statusOf(
  memory: PodMemory,
  pod: FakedPod,
  script: PodScript,
  addresses: PodAddresses,
  now: number,
): Record<string, unknown> {
  const { runningAt, end } = memory;
  const running = runningAt !== undefined && end === undefined;
  const ready = running && now >= runningAt + (script.readyDelayMs ?? 0);
  const started = runningAt !== undefined;
  const finished = end !== undefined && end.code === 0 && memory.stop?.cause === undefined;
  const cause = memory.stop?.cause;
  const condition = (type: string, status: boolean): Record<string, unknown> => {
    const reason = status
      ? undefined
      : finished
        ? 'PodCompleted'
        : type === 'Initialized'
          ? undefined
          : 'ContainersNotReady';
    return { type, status: status ? 'True' : 'False', lastTransitionTime: timeOf(since(type, memory, script)), reason };
  };
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  return {
    phase: phaseOf(memory),
    ...(end === undefined || cause === undefined ? {} : { reason: cause.reason, message: cause.message }),
    startTime: timeOf(memory.startTime),
    hostIP: addresses.hostIP,
    hostIPs: [{ ip: addresses.hostIP }],
    ...(started ? { podIP: addresses.podIP, podIPs: [{ ip: addresses.podIP }] } : {}),
    conditions: [
      condition('PodReadyToStartContainers', running),
      condition('Initialized', true),
      condition('Ready', ready),
      condition('ContainersReady', ready),
    ],
    containerStatuses: pod.spec.containers.map((container) => containerStatus(container, memory, pod, script, ready)),
    ...(sidecars.length === 0
      ? {}
      : { initContainerStatuses: sidecars.map((sidecar) => containerStatus(sidecar, memory, pod, script, running)) }),
  };
}

function phaseOf({ runningAt, end, stop }: PodMemory): string {
  if (end === undefined) return runningAt === undefined ? 'Pending' : 'Running';
  return end.code === 0 && stop?.cause === undefined ? 'Succeeded' : 'Failed';
}

/** When a condition took the value it has, as far as this pod's life tells. */
function since(type: string, { seenAt, runningAt, end }: PodMemory, script: PodScript): number {
  if (type === 'Initialized' || runningAt === undefined) return seenAt;
  if (end !== undefined) return end.at;
  return type === 'PodReadyToStartContainers' ? runningAt : runningAt + (script.readyDelayMs ?? 0);
}

function containerStatus(
  container: { name: string; image?: string },
  memory: PodMemory,
  pod: FakedPod,
  script: PodScript,
  ready: boolean,
): Record<string, unknown> {
  const { runningAt, end } = memory;
  const image = container.image ?? '';
  const common = { name: container.name, image, imageID: '', restartCount: 0, ready, started: false };
  if (runningAt === undefined && end === undefined) {
    return { ...common, state: { waiting: script.waiting ?? { reason: 'ContainerCreating' } } };
  }
  if (runningAt === undefined) {
    // Never ran: this is how the kubelet accounts for containers that it cannot find.
    const terminated = {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
      startedAt: null,
      finishedAt: null,
    };
    return { ...common, state: { terminated } };
  }
  const containerID = `fake://${pod.metadata.uid}-${container.name}`;
  const known = { ...common, containerID, imageID: `fake://${image}` };
  if (end === undefined) return { ...known, started: true, state: { running: { startedAt: timeOf(runningAt) } } };
  const terminated = {
    exitCode: end.code,
    reason: end.reason ?? (end.code === 0 ? 'Completed' : 'Error'),
    ...(end.message === undefined ? {} : { message: end.message }),
    startedAt: timeOf(runningAt),
    finishedAt: timeOf(end.at),
    containerID,
  };
  return { ...known, state: { terminated } };
}

/** Kubernetes' times are whole seconds. */
function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}
