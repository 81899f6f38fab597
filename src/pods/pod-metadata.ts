import type { AgentSpec } from '../api/agent.ts';
import { agentContainer, apiVersion, labels, managedBy, sessionRecordFinalizer } from '../api/names.ts';
import type { NewObjectMeta, OwnerReference } from '../kube/objects.ts';
import { bindingMetadata, type Binding } from './binding.ts';

/** An Agent as far as its pods show it. */
export interface AgentOfPod {
  name: string;
  uid: string;
  spec: AgentSpec;
  revision: string;
}

const SAFE_TO_EVICT = 'cluster-autoscaler.kubernetes.io/safe-to-evict';
const DO_NOT_DISRUPT = 'karpenter.sh/do-not-disrupt';

/** A session must not be moved: these keep the cluster autoscaler and Karpenter from removing its node. */
export const BUSY_ANNOTATIONS = { [SAFE_TO_EVICT]: 'false', [DO_NOT_DISRUPT]: 'true' } as const;
const WARM_ANNOTATIONS = { [SAFE_TO_EVICT]: 'true' } as const;

/**
 * The metadata of a pod that is made for a Session. Its finalizer keeps it until the session's end and usage are recorded, whoever
 * deletes it.
 */
export function busyMetadata(
  agent: AgentOfPod,
  pod: { name: string; namespace: string },
  binding: Binding,
  more: Record<string, string> = {},
): NewObjectMeta {
  const bound = bindingMetadata(binding);
  const user = agent.spec.podTemplate?.metadata ?? {};
  return {
    ...pod,
    labels: { ...user.labels, ...bound.labels, [labels.revision]: agent.revision },
    annotations: {
      ...user.annotations,
      ...bound.annotations,
      ...more,
      'kubectl.kubernetes.io/default-container': agentContainer,
      ...BUSY_ANNOTATIONS,
    },
    finalizers: [sessionRecordFinalizer],
    ownerReferences: [ownedBySession(binding.session)],
  };
}

/** The metadata of a pod that waits for a Session. It goes with its Agent, unless a claim makes it a Session's first. */
export function warmMetadata(
  agent: AgentOfPod,
  pod: { name: string; namespace: string },
  more: Record<string, string> = {},
): NewObjectMeta {
  const user = agent.spec.podTemplate?.metadata ?? {};
  return {
    ...pod,
    labels: {
      ...user.labels,
      [labels.managedBy]: managedBy,
      [labels.agent]: agent.name,
      [labels.state]: 'warm',
      [labels.revision]: agent.revision,
    },
    annotations: {
      ...user.annotations,
      ...more,
      'kubectl.kubernetes.io/default-container': agentContainer,
      ...WARM_ANNOTATIONS,
    },
    ownerReferences: [ownedByAgent(agent)],
  };
}

export function ownedByAgent(agent: { name: string; uid: string }): OwnerReference {
  return ownedBy('Agent', agent);
}

export function ownedBySession(session: { name: string; uid: string }): OwnerReference {
  return ownedBy('Session', session);
}

/** `controller: true`, else `kubectl drain` balks at the pod. */
function ownedBy(kind: 'Agent' | 'Session', { name, uid }: { name: string; uid: string }): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: false };
}
