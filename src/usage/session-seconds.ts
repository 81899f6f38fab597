/**
 * How long a session used the cluster, in seconds: starting, running and teardown, as Pipecat Cloud charges it.
 *
 * It is the time from `since` (the node took the session's pod; for one that had waited, the session began) to the end of its last
 * container. Both are the node's clock, so that no two clocks are subtracted and a controller that was away changes nothing. Time in
 * which no node had the pod (unschedulable, queued) is free, and so is the time that a pod has waited for a session.
 *
 * @param since RFC 3339; null when no node ever took it, undefined when nobody can tell
 * @param fallback when the node never told the end: the end by the controller's clock, in Unix milliseconds. It is
 *   measured from `boundAtMs`, which is the same clock.
 */
export function sessionSeconds(
  since: string | null | undefined,
  lastFinishedAt: string | undefined,
  fallback?: { boundAtMs: number; endedAtMs: number },
): number {
  if (since === null) return 0;
  if (since !== undefined && lastFinishedAt !== undefined)
    return atLeastZero((Date.parse(lastFinishedAt) - Date.parse(since)) / 1000);
  return fallback === undefined ? 0 : atLeastZero((fallback.endedAtMs - fallback.boundAtMs) / 1000);
}

function atLeastZero(seconds: number): number {
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}
