import type { Agent } from '../api/agent.ts';
import type { ApiKey } from '../api/api-key.ts';
import { agents, apiKeys, sessions } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import { isFinished } from '../api/session-phase.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { Informer } from '../kube/informer.ts';
import type { Logger } from '../kube/logger.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import type { ConfigMap, KubeObject, ObjectMeta } from '../kube/objects.ts';
import { configMaps } from '../kube/resources.ts';
import { keyOf } from '../kube/store.ts';
import { keyIndexes } from './keys/key-store.ts';

/** Index names; each maps a key to objects without a walk over all of them. */
export const INDEX = {
  /** Of Agents and Sessions, by namespace. */
  namespace: 'namespace',
  /** Of Sessions that are not over, by `namespace/agent`. */
  openByAgent: 'open-by-agent',
  /** Of all Sessions, by `namespace/agent`. */
  byAgent: 'by-agent',
  uid: 'uid',
} as const;

export interface Informers {
  agents: Informer<Agent>;
  sessions: Informer<Session>;
  keys: Informer<ApiKey>;
  sealingKeys: Informer<ConfigMap>;
}

export interface InformerDeps {
  api: KubeApi;
  /** Bullpen's own: the controller publishes here. */
  namespace: string;
  /** Namespaces of Agents and Sessions; all, when empty. */
  watchNamespaces: readonly string[];
  /** The ConfigMap of the keys that seal. */
  sealingKeysConfigMap: string;
  clock: Clock;
  random: () => number;
  logger: Logger;
  metrics: KubeMetrics;
}

/** What the gateway knows without asking. */
export function createInformers(deps: InformerDeps): Informers {
  const { namespace, watchNamespaces, sealingKeysConfigMap, ...rest } = deps;
  const everywhere = watchNamespaces.length === 0 ? {} : { namespaces: watchNamespaces };
  const own = { namespaces: [namespace] };
  return {
    agents: new Informer({
      ...rest,
      ...everywhere,
      resource: agents,
      transform: withoutManagedFields,
      indexes: { [INDEX.namespace]: (agent) => [agent.metadata.namespace ?? ''] },
    }),
    sessions: new Informer({
      ...rest,
      ...everywhere,
      resource: sessions,
      transform: slimSession,
      indexes: {
        [INDEX.openByAgent]: (session) => (isFinished(session) ? [] : [agentKeyOf(session)]),
        [INDEX.byAgent]: (session) => [agentKeyOf(session)],
        [INDEX.uid]: (session) => [session.metadata.uid],
      },
    }),
    keys: new Informer({
      ...rest,
      ...everywhere,
      resource: apiKeys,
      transform: withoutManagedFields,
      indexes: keyIndexes,
    }),
    sealingKeys: new Informer({
      ...rest,
      ...own,
      name: 'sealing-keys',
      resource: configMaps,
      fieldSelector: `metadata.name=${sealingKeysConfigMap}`,
    }),
  };
}

/** `namespace/agent` of a Session, whether there is such an Agent or not. */
export function agentKeyOf({ metadata, spec }: Session): string {
  return keyOf({ namespace: metadata.namespace ?? '', name: spec.agent });
}

/** Nobody here reads a body. */
function slimSession(session: Session): Session {
  const { body: _body, sealedBody: _sealed, ...spec } = session.spec;
  return withoutManagedFields({ ...session, spec });
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _managed, ...metadata } = object.metadata as ObjectMeta & { managedFields?: unknown };
  return { ...object, metadata };
}
