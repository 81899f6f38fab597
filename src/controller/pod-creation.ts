import type { WaitReason } from '../api/reasons.ts';
import type { KubeError } from '../kube/errors.ts';

/**
 * What a refusal of a pod by the API server means for its Session.
 *
 * `invalid`: the template of the Agent can never become a pod; only a change of the Agent helps.
 * `wait`: quota, policy or the server's state may change: try again until the start timeout.
 */
export type CreationFailure =
  { kind: 'invalid'; message: string } | { kind: 'wait'; reason: WaitReason; message: string };

export function creationFailure(error: KubeError): CreationFailure {
  const message = error.message;
  if (error.code === 422 || error.code === 400) return { kind: 'invalid', message };
  if (error.code === 403) {
    // The quota admission plugin has no reason of its own in the Status, only this wording, stable since Kubernetes 1.2.
    return { kind: 'wait', reason: message.includes('exceeded quota') ? 'QuotaExceeded' : 'AdmissionDenied', message };
  }
  return { kind: 'wait', reason: 'PodCreateFailed', message };
}

/** Delay before a refused pod is tried again: 0.5 s, doubled each time up to 10 s, with jitter, in milliseconds. */
export function creationBackoffMs(failures: number, random: () => number): number {
  const base = Math.min(10_000, 500 * 2 ** Math.min(failures - 1, 10));
  return base * (0.75 + random() / 2);
}
