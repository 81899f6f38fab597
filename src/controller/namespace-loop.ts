import { isDeepStrictEqual } from 'node:util';
import { labels, managedBy } from '../api/names.ts';
import type { KubeApi } from '../kube/api.ts';
import type { ReconcileResult } from '../kube/controller.ts';
import { isAlreadyExists, isNotFound, isForbidden } from '../kube/errors.ts';
import type { KubeObject, NetworkPolicy, NewObject, PodDisruptionBudget } from '../kube/objects.ts';
import { networkPolicies, podDisruptionBudgets, type ObjectRef, type Resource } from '../kube/resources.ts';
import type { Store } from '../kube/store.ts';
import type { Announcer } from './announcer.ts';
import { INDEX, INDEX_BY_NAMESPACE, type Caches } from './caches.ts';
import {
  NAMESPACE_OBJECT_NAME,
  sessionBudget,
  sessionNetworkPolicy,
  type SessionNetwork,
} from './namespace-objects.ts';

/** How often a name is tried again that somebody else's object has; each time costs an Event. */
const NAME_TAKEN_MS = 10 * 60_000;

/**
 * Gives every namespace that holds an Agent its PodDisruptionBudget and NetworkPolicy, and keeps them while a pod of
 * ours lives there, whatever happens to Agents: sessions that outlive their Agent stay protected. Ended pods that are kept
 * for their logs need neither.
 */
export class NamespaceLoop {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #announcer: Announcer;
  readonly #budgets: Store<PodDisruptionBudget>;
  readonly #policies: Store<NetworkPolicy>;
  readonly #networkPolicy: SessionNetwork;

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    announcer: Announcer;
    budgets: Store<PodDisruptionBudget>;
    policies: Store<NetworkPolicy>;
    networkPolicy: SessionNetwork;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#announcer = deps.announcer;
    this.#budgets = deps.budgets;
    this.#policies = deps.policies;
    this.#networkPolicy = deps.networkPolicy;
  }

  async reconcile(namespace: string): Promise<ReconcileResult> {
    const needed = this.#isNeeded(namespace);
    const taken = [
      await this.#ensure(podDisruptionBudgets, this.#budgets, sessionBudget(namespace), needed),
      await this.#ensure(
        networkPolicies,
        this.#policies,
        sessionNetworkPolicy(namespace, this.#networkPolicy.from),
        needed && this.#networkPolicy.enabled,
      ),
    ];
    return taken.includes(true) ? { requeueAfterMs: NAME_TAKEN_MS } : {};
  }

  #isNeeded(namespace: string): boolean {
    const agents = this.#caches.agents.byIndex(INDEX_BY_NAMESPACE, namespace);
    return (
      agents.some((agent) => agent.metadata.deletionTimestamp === undefined) ||
      this.#caches.pods.countByIndex(INDEX.liveByNamespace, namespace) > 0
    );
  }

  /** @returns whether somebody else's object has the name */
  async #ensure<T extends KubeObject & { spec: object }>(
    resource: Resource<T>,
    store: Store<T>,
    wanted: NewObject<T> & { spec: object },
    needed: boolean,
  ): Promise<boolean> {
    const namespace = wanted.metadata.namespace ?? '';
    const ref = { namespace, name: NAMESPACE_OBJECT_NAME };
    const existing = store.get(`${namespace}/${NAMESPACE_OBJECT_NAME}`);
    try {
      if (existing === undefined && needed) store.writeThrough(await this.#api.create(resource, namespace, wanted));
      else if (existing !== undefined && !needed) await this.#api.delete(resource, ref, { uid: existing.metadata.uid });
      else if (existing !== undefined && !says(existing.spec, wanted.spec)) {
        // Somebody changed it. A merge patch of the spec says again what we want, and keeps what others have added.
        store.writeThrough(await this.#api.patch(resource, ref, { type: 'merge', body: { spec: wanted.spec } }));
      }
      return false;
    } catch (error) {
      if (isAlreadyExists(error)) return await this.#isNotOurs(resource, ref);
      // Gone meanwhile: the watch brings the news. A namespace that is being deleted takes nothing new.
      if (!isNotFound(error) && !(isForbidden(error) && isTerminating(error))) throw error;
      return false;
    }
  }

  /** Made by us meanwhile, so that the watch brings it; or by somebody else, whose it stays. */
  async #isNotOurs(resource: Resource, ref: ObjectRef): Promise<boolean> {
    const existing = await this.#api.get(resource, ref);
    if (existing.metadata.labels?.[labels.managedBy] === managedBy) return false;
    this.#announcer.nameTaken(resource, existing);
    return true;
  }
}

/** Whether `actual` has every field of `wanted` with its value; the server may have added defaults. */
function says(actual: object, wanted: object): boolean {
  const has = actual as Record<string, unknown>;
  return Object.entries(wanted).every(([field, value]) =>
    Array.isArray(value) && value.length === 0 ? isEmpty(has[field]) : isDeepStrictEqual(has[field], value),
  );
}

/** The server leaves empty lists out. */
function isEmpty(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function isTerminating(error: unknown): boolean {
  return error instanceof Error && error.message.includes('being terminated');
}
