import type { Agent } from '../../api/agent.ts';
import { labels } from '../../api/names.ts';
import type { PoolReason } from '../../api/reasons.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isConflict, isNotFound, isOutcomeUnknown, KubeError } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { pods as podResource, refOf } from '../../kube/resources.ts';
import { warmPodName } from '../../pods/names.ts';
import type { Serving } from '../agent-state.ts';
import { INDEX, splitKey, type Caches } from '../caches.ts';
import type { PendingPods } from '../pending-pods.ts';
import { creationFailure } from '../pod-creation.ts';
import type { PodFactory } from '../pod-factory.ts';
import { Background } from './background.ts';
import { PoolMemory, type EndedPod } from './pool-memory.ts';
import { planPool, type PoolPlan } from './pool-plan.ts';
import { lateInMs, poolProblem, whyEnded } from './pool-problem.ts';
import { describeWarmPod, isWarm, type WarmPod } from './warm-pods.ts';

/** Requests for pools that may be under way at one time, of all Agents and of one: sessions come first. */
const PARALLEL = { limit: 6, perKey: 4 };

/** After a deletion that failed. */
const DELETE_AGAIN_MS = 5_000;

/** What the status of an Agent says of its pool. */
export interface PoolReport {
  target: number;
  /** Ready pods, of any revision. */
  warm: number;
  /** Ready pods of the wanted revision. */
  ready: number;
  outdated: number;
  /** Why pods are not ready that should be. */
  problem?: { reason: PoolReason; message: string };
  requeueAfterMs?: number;
}

/** Tells of a pod template that Kubernetes refused, or took after all. */
export interface Refusals {
  refused(agentKey: string, revision: string, message: string): void;
  accepted(agentKey: string): void;
}

/** Keeps as many pods waiting as an Agent wants. What it does runs beside the agent loop, so that no session waits for it. */
export class PoolKeeper {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #pending: PendingPods;
  readonly #factory: PodFactory;
  readonly #kids: () => readonly string[];
  readonly #refusals: Refusals;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #logger: Logger;
  readonly #wake: (agentKey: string) => void;
  readonly #background = new Background(PARALLEL);
  readonly #memories = new Map<string, PoolMemory>();
  /** An object in a cache never changes: what was found out of a pod holds until something else is there, or is wanted. */
  readonly #described = new WeakMap<Pod, { node: Node | undefined; wanted: string; warm: WarmPod }>();
  /** Pods whose deletion is under way, by uid. */
  readonly #removing = new Set<string>();

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    pending: PendingPods;
    factory: PodFactory;
    /** The ids of the keys with which pods can be spoken to. */
    kids: () => readonly string[];
    refusals: Refusals;
    clock: Clock;
    random: () => number;
    logger: Logger;
    wake: (agentKey: string) => void;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#factory = deps.factory;
    this.#kids = deps.kids;
    this.#refusals = deps.refusals;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#logger = deps.logger;
    this.#wake = deps.wake;
  }

  /** The pods of an Agent that wait and whose claim is not under way. */
  idle(agentKey: string, revision: string): WarmPod[] {
    const kids = this.#kids();
    const wanted = [revision, ...kids].join();
    const claimed = new Set(this.#pending.ofAgent(agentKey).map(({ name }) => name));
    return this.#caches.pods
      .byIndex(INDEX.liveByAgent, agentKey)
      .filter((pod) => isWarm(pod) && !claimed.has(pod.metadata.name))
      .map((pod) => {
        const node = this.#caches.nodes.get(pod.spec?.nodeName ?? '');
        const known = this.#described.get(pod);
        const isKnown = known?.node === node && known?.wanted === wanted;
        const warm = isKnown ? known.warm : describeWarmPod(pod, { revision, kids, node });
        if (!isKnown) this.#described.set(pod, { node, wanted, warm });
        return this.#removing.has(pod.metadata.uid) ? { ...warm, leaving: true, usable: false } : warm;
      });
  }

  /**
   * One look at the pool, after Sessions have got theirs.
   *
   * @param view.idle those that no Session has got
   * @param view.started how many Sessions have just got a pod
   */
  keep(
    agentKey: string,
    agent: Agent,
    verdict: Serving,
    view: { idle: readonly WarmPod[]; pods: number; active: number; started: number },
    signal: AbortSignal,
  ): PoolReport {
    const memory = this.#memories.get(agentKey) ?? new PoolMemory({ clock: this.#clock, random: this.#random });
    this.#memories.set(agentKey, memory);
    const { spec } = verdict;
    const creating = this.#pending.ofAgent(agentKey).filter(({ sessionUid }) => sessionUid === undefined).length;
    const plan = planPool({ spec, idle: view.idle, creating, pods: view.pods, active: view.active });
    memory.look({ started: view.started, ready: plan.ready, ended: this.#ended(agentKey, verdict.revision) });
    const surplus = memory.cooledDown(plan.surplus.length, spec.scaling.cooldownSeconds);
    for (const { pod } of [...plan.remove, ...plan.surplus.slice(0, surplus)]) this.#remove(agentKey, pod);
    const held = plan.create > 0 && !memory.mayCreate();
    if (plan.create > 0 && !held) {
      memory.creates();
      for (let count = 0; count < plan.create; count += 1) this.#create(agentKey, agent, verdict, memory, signal);
    }
    return this.#report(plan, view.idle, memory, { held, startTimeoutSeconds: spec.startTimeoutSeconds });
  }

  /** The Agent is gone: what waited for its sessions goes too. */
  drop(agentKey: string): void {
    this.#memories.delete(agentKey);
    for (const pod of this.#caches.pods.byIndex(INDEX.liveByAgent, agentKey))
      if (isWarm(pod) && pod.metadata.deletionTimestamp === undefined) this.#remove(agentKey, pod);
  }

  #ended(agentKey: string, revision: string): EndedPod[] {
    return this.#caches.pods
      .byIndex(INDEX.endedByAgent, agentKey)
      .filter((pod) => isWarm(pod) && pod.metadata.labels?.[labels.revision] === revision)
      .map((pod) => ({ uid: pod.metadata.uid, why: whyEnded(pod) }));
  }

  #report(
    plan: PoolPlan,
    idle: readonly WarmPod[],
    memory: PoolMemory,
    { held, startTimeoutSeconds }: { held: boolean; startTimeoutSeconds: number },
  ): PoolReport {
    const now = this.#clock.now();
    const problem =
      plan.target > plan.ready ? (memory.problem ?? poolProblem(idle, startTimeoutSeconds, now)) : undefined;
    const wakes = [memory.wakeAfterMs(held), lateInMs(idle, startTimeoutSeconds, now)];
    const wake = Math.min(...wakes.filter((ms) => ms !== undefined));
    return {
      target: plan.target,
      warm: idle.filter(({ ready, usable }) => ready && usable).length,
      ready: plan.ready,
      outdated: plan.outdated,
      ...(problem && { problem }),
      ...(Number.isFinite(wake) && { requeueAfterMs: wake }),
    };
  }

  #create(agentKey: string, agent: Agent, verdict: Serving, memory: PoolMemory, signal: AbortSignal): void {
    const { namespace } = splitKey(agentKey);
    const ref = { namespace, name: warmPodName(agent.metadata.name, this.#random) };
    const entry = { agentKey, sessionUid: undefined, ...ref };
    this.#pending.sent(entry);
    this.#background.run(agentKey, async () => {
      if (signal.aborted) {
        this.#pending.settled(ref);
        return;
      }
      this.#pending.sent(entry);
      try {
        const pod = this.#factory.warm(agent, verdict, ref.name);
        this.#caches.pods.writeThrough(await this.#api.create(podResource, namespace, pod));
        this.#pending.settled(ref);
        memory.created();
        this.#refusals.accepted(agentKey);
      } catch (error) {
        if (isOutcomeUnknown(error)) this.#pending.unknown(ref);
        else this.#pending.settled(ref);
        this.#failed(error, agentKey, verdict, memory);
      }
    });
  }

  #failed(error: unknown, agentKey: string, verdict: Serving, memory: PoolMemory): void {
    if (error instanceof KubeError && error.code !== 0) {
      const failure = creationFailure(error);
      if (failure.kind === 'wait') memory.failed(failure);
      else {
        memory.failed({ reason: 'PodCreateFailed', message: failure.message });
        this.#refusals.refused(agentKey, verdict.revision, failure.message);
      }
    } else {
      this.#logger.warn({ err: error, agent: agentKey }, 'cannot make a warm pod');
      memory.failed({ reason: 'PodCreateFailed', message: 'the API server does not answer' });
    }
    this.#wake(agentKey);
  }

  /** Unchanged, or not at all: a pod that has been claimed meanwhile is another version. */
  #remove(agentKey: string, pod: Pod): void {
    const { uid, resourceVersion } = pod.metadata;
    if (this.#removing.has(uid)) return;
    this.#removing.add(uid);
    this.#background.run(agentKey, async () => {
      let againInMs = 0;
      try {
        const deleted = await this.#api.delete(podResource, refOf(pod), { uid, resourceVersion });
        if (deleted?.metadata.uid === uid) this.#caches.pods.writeThrough(deleted);
      } catch (error) {
        againInMs = await this.#missed(error, agentKey, pod);
      }
      this.#clock.setTimeout(() => {
        this.#removing.delete(uid);
        this.#wake(agentKey);
      }, againInMs);
    });
  }

  /** It has changed, which the cache is to know before it is looked at again; or it may not be deleted, which takes time to change. */
  async #missed(error: unknown, agentKey: string, pod: Pod): Promise<number> {
    if (isNotFound(error)) return DELETE_AGAIN_MS; // The watch will say so.
    if (isConflict(error)) {
      try {
        this.#caches.pods.writeThrough(await this.#api.get(podResource, refOf(pod)));
        return 0;
      } catch (gone) {
        if (isNotFound(gone)) return DELETE_AGAIN_MS;
      }
    }
    this.#logger.warn({ err: error, agent: agentKey, pod: pod.metadata.name }, 'cannot delete a warm pod');
    return DELETE_AGAIN_MS;
  }
}
