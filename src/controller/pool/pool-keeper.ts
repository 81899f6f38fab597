import type { Agent, AgentSpec } from '../../api/agent.ts';
import { labels } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isConflict, isNotFound, isOutcomeUnknown, KubeError } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { pods as podResource, refOf } from '../../kube/resources.ts';
import { keyOf } from '../../kube/store.ts';
import { warmPodName } from '../../pods/names.ts';
import type { Serving } from '../agent-state.ts';
import { INDEX, splitKey, type Caches } from '../caches.ts';
import type { PendingPods } from '../pending-pods.ts';
import { creationFailure } from '../pod-creation.ts';
import type { PodFactory } from '../pod-factory.ts';
import { Background } from './background.ts';
import { PoolMemory, type EndedPod } from './pool-memory.ts';
import { keepsPool, planPool, type PoolPlan } from './pool-plan.ts';
import { blamesRevision, lateInMs, poolProblem, problemBefore, whyEnded, type Problem } from './pool-problem.ts';
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
  /** Whether Sessions get pods of the last good revision, because the present one cannot start. */
  instead: boolean;
  /** Why pods are not ready that should be. */
  problem?: Problem;
  requeueAfterMs?: number;
}

/** What an Agent's pool is made of. */
export interface PoolOf {
  /** What the Agent says now. */
  present: Serving;
  /** Whether another one was the last that could start. */
  hasOther: boolean;
  /** Whether the present one cannot, so that nothing good is to go for it. */
  broken: boolean;
  /** What Sessions get instead, where it is known. */
  instead?: Serving | undefined;
}

/** What is remembered of the pool of one revision of an Agent. */
interface Pool {
  revision: string;
  present: PoolMemory;
  /** Of the revision that serves instead. */
  instead: PoolMemory;
  /** Why pods of the present revision cannot start. It stays until one is ready: a pod that has just been made says nothing. */
  broken: Problem | undefined;
  /** One has been ready: what is wrong later is no reason to go back to an earlier revision. */
  hasStarted: boolean;
}

/** Tells of a pod template that Kubernetes refused, or took after all. */
export interface Refusals {
  refused(agentKey: string, revision: string, message: string): void;
  accepted(agentKey: string, revision: string): void;
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
  readonly #pools = new Map<string, Pool>();
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

  /**
   * The pods of an Agent that wait and whose claim is not under way.
   *
   * @param revision that Sessions are to get
   * @param probed the present one, where that is another and cannot start
   */
  idle(agentKey: string, revision: string, probed?: string): WarmPod[] {
    const kids = this.#kids();
    const wanted = [revision, probed ?? '', ...kids].join();
    const claimed = new Set(this.#pending.ofAgent(agentKey).map(({ name }) => name));
    return this.#caches.pods
      .byIndex(INDEX.liveByAgent, agentKey)
      .filter((pod) => isWarm(pod) && !claimed.has(pod.metadata.name))
      .map((pod) => {
        const node = this.#caches.nodes.get(pod.spec?.nodeName ?? '');
        const known = this.#described.get(pod);
        const isKnown = known?.node === node && known?.wanted === wanted;
        const warm = isKnown ? known.warm : describeWarmPod(pod, { revision, probed, kids, node });
        if (!isKnown) this.#described.set(pod, { node, wanted, warm });
        return this.#removing.has(pod.metadata.uid) ? { ...warm, leaving: true, usable: false } : warm;
      });
  }

  /**
   * Whether the present revision of an Agent cannot start, as far as its pool has shown.
   *
   * @param isReady whether a pod of it is, which ends that
   */
  isBroken(agentKey: string, agent: Agent, present: Serving, isReady: boolean): boolean {
    const pool = this.#poolOf(agentKey, agent, present.revision);
    if (isReady) this.#starts(pool);
    if (!keepsPool(present.spec)) pool.broken = undefined;
    return pool.broken !== undefined;
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
    { present, hasOther, broken, instead }: PoolOf,
    view: { idle: readonly WarmPod[]; pods: number; active: number; started: number },
    signal: AbortSignal,
  ): PoolReport {
    const pool = this.#poolOf(agentKey, agent, present.revision);
    const { spec, revision } = instead ?? present;
    const { started, ...counts } = view;
    const creating = this.#pending.ofAgent(agentKey).filter(({ sessionUid }) => sessionUid === undefined).length;
    const plan = planPool({ spec, creating, ...counts, broken, instead: instead !== undefined });
    const ready = instead === undefined ? plan.ready : 0;
    pool.present.look({ started, ready, ended: this.#ended(agentKey, present.revision) });
    if (instead) pool.instead.look({ started, ready: plan.ready, ended: this.#ended(agentKey, revision) });
    const surplus = pool.present.cooledDown(plan.surplus.length, spec.scaling.cooldownSeconds);
    for (const { pod } of [...plan.remove, ...plan.surplus.slice(0, surplus)]) this.#remove(agentKey, pod);
    const wakes = [
      this.#fill(agentKey, agent, present, pool.present, instead ? plan.probes : plan.create, signal),
      instead && this.#fill(agentKey, agent, instead, pool.instead, plan.create, signal),
    ];
    const report = this.#report(pool, plan, view.idle, { ready, broken, instead: instead !== undefined, wakes, spec });
    // It has just turned out so; the next look is about the other.
    const turned = hasOther && !broken && pool.broken !== undefined;
    return turned ? { ...report, requeueAfterMs: 1 } : report;
  }

  /** The Agent is gone: what waited for its sessions goes too. */
  drop(agentKey: string): void {
    this.#pools.delete(agentKey);
    for (const pod of this.#caches.pods.byIndex(INDEX.liveByAgent, agentKey))
      if (isWarm(pod) && pod.metadata.deletionTimestamp === undefined) this.#remove(agentKey, pod);
  }

  /** What another revision was remembered for says nothing of this one. */
  #poolOf(agentKey: string, agent: Agent, revision: string): Pool {
    const known = this.#pools.get(agentKey);
    if (known?.revision === revision) return known;
    const memory = (): PoolMemory => new PoolMemory({ clock: this.#clock, random: this.#random });
    const broken = problemBefore(agent, revision);
    const pool = { revision, present: memory(), instead: memory(), broken, hasStarted: false };
    this.#pools.set(agentKey, pool);
    return pool;
  }

  #starts(pool: Pool): void {
    pool.broken = undefined;
    pool.hasStarted = true;
  }

  #ended(agentKey: string, revision: string): EndedPod[] {
    return this.#caches.pods
      .byIndex(INDEX.endedByAgent, agentKey)
      .filter((pod) => isWarm(pod) && pod.metadata.labels?.[labels.revision] === revision)
      .map((pod) => ({ uid: pod.metadata.uid, why: whyEnded(pod) }));
  }

  #report(
    pool: Pool,
    plan: PoolPlan,
    idle: readonly WarmPod[],
    seen: { ready: number; broken: boolean; instead: boolean; wakes: (number | undefined)[]; spec: AgentSpec },
  ): PoolReport {
    const { ready, instead } = seen;
    const { startTimeoutSeconds } = seen.spec;
    const now = this.#clock.now();
    const pods = idle.filter(({ current, probe }) => (instead ? probe : current));
    const found =
      plan.target > ready ? (pool.present.problem ?? poolProblem(pods, startTimeoutSeconds, now)) : undefined;
    if (ready > 0) this.#starts(pool);
    else if (found !== undefined && !pool.hasStarted && blamesRevision(found, pods, startTimeoutSeconds, now))
      pool.broken = found;
    const problem = found ?? (seen.broken ? pool.broken : undefined);
    const wakes = [...seen.wakes, lateInMs(pods, startTimeoutSeconds, now)];
    const wake = Math.min(...wakes.filter((ms) => ms !== undefined));
    return {
      target: plan.target,
      warm: idle.filter(({ ready: isReady, usable }) => isReady && usable).length,
      ready,
      outdated: plan.outdated,
      instead,
      ...(problem && { problem }),
      ...(Number.isFinite(wake) && { requeueAfterMs: wake }),
    };
  }

  /** Makes so many pods, if it may now; returns when to look again. */
  #fill(
    agentKey: string,
    agent: Agent,
    verdict: Serving,
    memory: PoolMemory,
    count: number,
    signal: AbortSignal,
  ): number | undefined {
    const held = count > 0 && !memory.mayCreate();
    if (count > 0 && !held) {
      memory.creates();
      for (let made = 0; made < count; made += 1) this.#create(agentKey, agent, verdict, memory, signal);
    }
    return memory.wakeAfterMs(held);
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
        const created = await this.#api.create(podResource, namespace, pod);
        this.#caches.pods.writeThrough(created);
        this.#pending.settled(ref);
        memory.created();
        this.#refusals.accepted(agentKey, verdict.revision);
        // It is gone already, and whoever looked when that was known took it for one that is on its way.
        if (!this.#caches.pods.has(keyOf(created))) this.#wake(agentKey);
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
        memory.failed({ reason: 'InvalidSpec', message: failure.message });
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
