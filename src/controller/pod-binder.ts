import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isAlreadyExists, isInvalid, isNotFound, isOutcomeUnknown } from '../kube/errors.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import { pods as podResource } from '../kube/resources.ts';
import { readBinding, type Binding } from '../pods/binding.ts';
import { claimPatch } from '../pods/claim.ts';
import type { Caches } from './caches.ts';
import type { Deliverer } from './delivery/deliverer.ts';
import type { PendingPods } from './pending-pods.ts';
import { refresh } from './refresh.ts';

/** Binds a pod to a Session, by the one request that makes it or claims it. What is not known to be undone is remembered. */
export class PodBinder {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #pending: PendingPods;
  readonly #deliverer: Deliverer;
  readonly #clock: Clock;

  constructor(deps: { api: KubeApi; caches: Caches; pending: PendingPods; deliverer: Deliverer; clock: Clock }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#deliverer = deps.deliverer;
    this.#clock = deps.clock;
  }

  /** Makes the Session's pod, or finds the one that an earlier request with a lost reply has made. */
  async create(agentKey: string, pod: NewObject<Pod>, binding: Binding): Promise<void> {
    const { namespace = '', name = '' } = pod.metadata;
    const ref = { namespace, name };
    this.#pending.sent({ agentKey, sessionUid: binding.session.uid, ...ref });
    try {
      this.#bound(await this.#createOrFind(ref, pod, binding), binding);
    } catch (error) {
      if (isOutcomeUnknown(error)) this.#pending.unknown(ref);
      throw error;
    }
  }

  /**
   * Claims a pod that waits, by one compare-and-swap.
   *
   * @returns false when the pod is not what it was: the cache is up to date then
   */
  async claim(agentKey: string, pod: Pod, binding: Binding): Promise<boolean> {
    const { namespace = '', name } = pod.metadata;
    const ref = { namespace, name };
    this.#pending.sent({ agentKey, sessionUid: binding.session.uid, ...ref });
    try {
      const ops = claimPatch(pod, binding, this.#clock.now());
      this.#bound(await this.#api.patch(podResource, ref, { type: 'json', ops }), binding);
      return true;
    } catch (error) {
      if (isOutcomeUnknown(error)) {
        this.#pending.unknown(ref);
        if (!(await this.#hasTaken(pod, binding))) throw error;
        this.#pending.settled(ref);
        return true;
      }
      if (!isInvalid(error) && !isNotFound(error)) throw error;
      // Rejects when the pod is what it was: then Kubernetes refuses the claim itself.
      await refresh(this.#api, podResource, this.#caches.pods, pod, error);
      return false;
    }
  }

  async #createOrFind(ref: { namespace: string; name: string }, pod: NewObject<Pod>, binding: Binding): Promise<Pod> {
    try {
      return await this.#api.create(podResource, ref.namespace, pod);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const existing = await this.#api.get(podResource, ref);
      if (readBinding(existing)?.session.uid === binding.session.uid) return existing;
      throw error;
    }
  }

  /** Whether a claim whose reply was lost has been carried out. If not, it still may be. */
  async #hasTaken({ metadata }: Pod, binding: Binding): Promise<boolean> {
    try {
      const fresh = await this.#api.get(podResource, { namespace: metadata.namespace ?? '', name: metadata.name });
      const taken = fresh.metadata.uid === metadata.uid && readBinding(fresh)?.session.uid === binding.session.uid;
      if (taken) this.#bound(fresh, binding);
      return taken;
    } catch {
      return false; // It is read again when the request can no longer be carried out.
    }
  }

  #bound(pod: Pod, { session }: Binding): void {
    this.#deliverer.bound(session.uid, pod.metadata.uid);
    this.#caches.pods.writeThrough(pod);
  }
}
