import type { KubeError } from '../kube/errors.ts';

/**
 * What a refusal of a pod by the API server means for its Session.
 *
 * - `template`: the API server calls the Agent's template invalid; only a change of the Agent helps.
 * - `session`: what this Session adds to the pod makes it invalid; other Sessions of the Agent may be fine.
 * - `wait`: quota, policy or the server's state may change: try again until the start timeout.
 */
export type CreationFailure =
  | { kind: 'template' | 'session'; message: string }
  | { kind: 'wait'; reason: 'QuotaExceeded' | 'AdmissionDenied' | 'PodCreateFailed'; message: string };

export function creationFailure(error: KubeError): CreationFailure {
  const { code, message } = error;
  // Neither policies nor webhooks have a reason of their own in the Status, and they may answer with any code.
  const byPolicy = /admission webhook|ValidatingAdmissionPolicy/.test(message);
  if (byPolicy) return { kind: 'wait', reason: 'AdmissionDenied', message };
  if (code === 422 || code === 400) return { kind: blamesSession(error) ? 'session' : 'template', message };
  if (code === 403) {
    // The quota plugin's wording, stable since Kubernetes 1.2.
    return { kind: 'wait', reason: message.includes('exceeded quota') ? 'QuotaExceeded' : 'AdmissionDenied', message };
  }
  return { kind: 'wait', reason: 'PodCreateFailed', message };
}

/** The body of a Session is among the annotations of its pod, which have one limit for all together. */
function blamesSession({ details }: KubeError): boolean {
  const causes = details?.causes ?? [];
  return causes.length > 0 && causes.every(({ field }) => field?.startsWith('metadata.') ?? false);
}

/** Delay before a refused pod is tried again: 0.5 s, doubled each time up to 10 s, with jitter, in milliseconds. */
export function creationBackoffMs(failures: number, random: () => number): number {
  const base = Math.min(10_000, 500 * 2 ** Math.min(failures - 1, 10));
  return base * (0.75 + random() / 2);
}
