import type { Exit, FakedContainer, FakedPod } from './fake-pod.ts';

/** One entry of `containerStatuses` or `initContainerStatuses`. */
export type ContainerStatus = Record<string, unknown>;

/** How a kubelet accounts for a container that it cannot find. */
export const unknownEnd = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
  startedAt: null,
  finishedAt: null,
};

/** A container that has not been started. */
export function unstarted({ name, image = '' }: FakedContainer, state: Record<string, unknown>): ContainerStatus {
  return { name, image, imageID: '', restartCount: 0, ready: false, started: false, state };
}

/** A container that has been started `restarts` times again. */
export function startedContainer(pod: FakedPod, { name, image = '' }: FakedContainer, restarts = 0): ContainerStatus {
  const containerID = containerIdOf(pod, name, restarts);
  return { name, image, imageID: `fake://${image}`, containerID, restartCount: restarts, ready: false, started: false };
}

/** Every run of a container has an id of its own. */
export function containerIdOf(pod: FakedPod, container: string, restarts = 0): string {
  return `fake://${pod.metadata.uid}-${container}${restarts === 0 ? '' : `-${restarts}`}`;
}

/** The state `terminated` of a container that has run. */
export function terminatedState(end: Exit & { at: number }, startedAt: number, containerID: string) {
  return {
    exitCode: end.code,
    reason: end.reason ?? (end.code === 0 ? 'Completed' : 'Error'),
    ...(end.message === undefined ? {} : { message: end.message }),
    startedAt: timeOf(startedAt),
    finishedAt: timeOf(end.at),
    containerID,
  };
}

/** Kubernetes' times are whole seconds. */
export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}
