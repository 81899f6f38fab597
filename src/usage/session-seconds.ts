import type { Pod } from '../kube/objects.ts';

/**
 * How long a session used the cluster, in seconds: starting, running and teardown, as Pipecat Cloud charges it.
 *
 * It is the time from the node's acceptance of the pod to the end of its last container. Both are the kubelet's clock
 * (whole seconds), so that no two clocks are subtracted and a controller that was away changes nothing. Time in which
 * no node had the pod (unschedulable, queued) is free.
 *
 * @param endedAtMs when the node never told the end: the end by the controller's clock, in Unix milliseconds. It is
 *   measured from `boundAtMs`, which is the same clock.
 */
export function sessionSeconds(
  pod: Pod | undefined,
  lastFinishedAt: string | undefined,
  fallback?: { boundAtMs: number; endedAtMs: number },
): number {
  const acceptedAt = pod?.status?.startTime;
  if (pod !== undefined && acceptedAt === undefined) return 0;
  if (acceptedAt !== undefined && lastFinishedAt !== undefined)
    return atLeastZero((Date.parse(lastFinishedAt) - Date.parse(acceptedAt)) / 1000);
  return fallback === undefined ? 0 : atLeastZero((fallback.endedAtMs - fallback.boundAtMs) / 1000);
}

function atLeastZero(seconds: number): number {
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}
