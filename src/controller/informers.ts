import type { Agent } from '../api/agent.ts';
import { labels, managedBy } from '../api/names.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { Informer } from '../kube/informer.ts';
import type { Logger } from '../kube/logger.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import type { NetworkPolicy, Node, Pod, PodDisruptionBudget } from '../kube/objects.ts';
import { networkPolicies, nodes, podDisruptionBudgets, pods } from '../kube/resources.ts';
import { agents, sessions } from '../api/resources.ts';
import { agentIndexes, OUR_PODS, podIndexes, sessionIndexes } from './caches.ts';
import { slimAgent, slimNode, slimPod, slimSession, withoutManagedFields } from './slim.ts';

export interface Informers {
  agents: Informer<Agent>;
  sessions: Informer<Session>;
  pods: Informer<Pod>;
  nodes: Informer<Node>;
  budgets: Informer<PodDisruptionBudget>;
  policies: Informer<NetworkPolicy>;
}

export function createInformers(deps: {
  api: KubeApi;
  /** All namespaces, when empty. */
  namespaces: readonly string[];
  clock: Clock;
  random: () => number;
  logger: Logger;
  metrics: KubeMetrics;
}): Informers {
  const { namespaces: chosen, ...rest } = deps;
  const namespaces = chosen.length === 0 ? {} : { namespaces: [...chosen] };
  const ours = { labelSelector: `${labels.managedBy}=${managedBy}` };
  const slim = <T extends PodDisruptionBudget | NetworkPolicy>(object: T): T => ({
    ...object,
    metadata: withoutManagedFields(object.metadata),
  });
  return {
    agents: new Informer({ ...rest, ...namespaces, resource: agents, transform: slimAgent, indexes: agentIndexes }),
    sessions: new Informer({
      ...rest,
      ...namespaces,
      resource: sessions,
      transform: slimSession,
      indexes: sessionIndexes,
    }),
    pods: new Informer({
      ...rest,
      ...namespaces,
      resource: pods,
      labelSelector: OUR_PODS,
      transform: slimPod,
      indexes: podIndexes,
    }),
    nodes: new Informer({ ...rest, resource: nodes, transform: slimNode }),
    budgets: new Informer({ ...rest, ...namespaces, ...ours, resource: podDisruptionBudgets, transform: slim }),
    policies: new Informer({ ...rest, ...namespaces, ...ours, resource: networkPolicies, transform: slim }),
  };
}
