import { labels, managedBy } from '../api/names.ts';
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

/**
 * Nobody connects to a session of `protocol: Process`: it is started with all that it needs and has no port of ours.
 * What sessions may connect to is the namespace owner's to decide, so there is no rule for egress.
 */
export function sessionNetworkPolicy(namespace: string): NewObject<NetworkPolicy> {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: NAMESPACE_OBJECT_NAME, namespace, labels: OURS },
    spec: { podSelector: { matchLabels: OURS }, policyTypes: ['Ingress'], ingress: [] },
  };
}
