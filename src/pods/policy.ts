/**
 * What the pod template of an Agent may ask for. The right to make Agents must not become a way to any node, so
 * whatever reaches beyond the pod is refused unless whoever installed Bullpen allowed it (chart value `sessionPods`).
 */
export interface SessionPodPolicy {
  allowHostNamespaces: boolean;
  allowHostPath: boolean;
  allowServiceAccountToken: boolean;
  allowPrivileged: boolean;
  /** Refuse to run any agent image as root (`runAsNonRoot: true` on every session pod). */
  runAsNonRoot: boolean;
}

export const STRICT_POLICY: SessionPodPolicy = {
  allowHostNamespaces: false,
  allowHostPath: false,
  allowServiceAccountToken: false,
  allowPrivileged: false,
  runAsNonRoot: false,
};
