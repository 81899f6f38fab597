import { labels, managedBy } from '../api/names.ts';
import { SUPERVISOR_PORT } from '../supervisor/wire.ts';
import type { NetworkPolicy, NewObject, PodDisruptionBudget } from '../kube/objects.ts';

/** Both objects of a namespace have this name; nothing else of ours lives there. */
export const NAMESPACE_OBJECT_NAME = 'bullpen-sessions';

const OURS = { [labels.managedBy]: managedBy };

/**
 * Keeps busy pods from being evicted.
 *
 * An impossible `minAvailable` is the only form that needs no scale subresource of the pods' owner; IfHealthyBudget,
 * because AlwaysAllow would let a call be evicted that is not ready for a moment.
 */
export function sessionBudget(namespace: string): NewObject<PodDisruptionBudget> {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: NAMESPACE_OBJECT_NAME, namespace, labels: OURS },
    spec: {
      minAvailable: 1_000_000_000,
      selector: { matchLabels: { ...OURS, [labels.state]: 'busy' } },
      unhealthyPodEvictionPolicy: 'IfHealthyBudget',
    },
  };
}

/** Who may speak to supervisors: a peer of a NetworkPolicy. */
export type NetworkPeer = Record<string, unknown>;

/** Whether namespaces get a NetworkPolicy for the pods of sessions, and who it lets in. */
export interface SessionNetwork {
  enabled: boolean;
  from: readonly NetworkPeer[];
}

/**
 * Nobody connects to the pods of sessions but those who hold the keys for it, and they to the supervisor only: the port of a waiting
 * agent would take a session from anybody. What sessions may connect to is the namespace owner's to decide, so there is no rule for
 * egress.
 */
export function sessionNetworkPolicy(namespace: string, from: readonly NetworkPeer[]): NewObject<NetworkPolicy> {
  const ports = [{ protocol: 'TCP', port: SUPERVISOR_PORT }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: NAMESPACE_OBJECT_NAME, namespace, labels: OURS },
    spec: {
      podSelector: { matchLabels: OURS },
      policyTypes: ['Ingress'],
      // Without a peer a rule would let everybody in.
      ingress: from.length === 0 ? [] : [{ from: [...from], ports }],
    },
  };
}
