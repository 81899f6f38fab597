import type { Agent } from '../api/agent.ts';
import { agents, sessions as sessionResource } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import type { ReconcileResult } from '../kube/controller.ts';
import { isNotFound } from '../kube/errors.ts';
import { pods as podResource } from '../kube/resources.ts';
import { sessionUidOf } from '../pods/binding.ts';
import type { ControllerMetrics } from '../telemetry/metrics.ts';
import { planAgent, type AgentPlan, type AgentState, type LivePod } from './agent-plan.ts';
import { judgeAgent, withRefusal, type AgentVerdict, type Platform } from './agent-state.ts';
import type { KnownRevisions } from './agent-status.ts';
import type { AgentStatusWriter } from './agent-status-writer.ts';
import { forEachBounded } from './bounded.ts';
import { INDEX, splitKey, type Caches } from './caches.ts';
import type { PendingPods } from './pending-pods.ts';
import type { PoolKeeper, PoolOf, PoolReport } from './pool/pool-keeper.ts';
import { isWarm, type WarmPod } from './pool/warm-pods.ts';
import type { LastGood } from './revisions/last-good.ts';
import type { RevisionRecorder } from './revisions/revision-recorder.ts';
import { isSpent } from './session-retry.ts';
import type { SessionStarter } from './session-starter.ts';
import type { Verdicts } from './verdicts.ts';
import { writeStatus } from './write-status.ts';

/** Places in the queue are told at most this often. */
const TELL_POSITIONS_EVERY_MS = 10_000;
/** Requests of one pass that may be under way at once. */
const PARALLEL = 16;

/**
 * One pass for one Agent's name: reads the caches, plans, and carries the plan out. The work queue never runs two
 * passes of one key at once, so nobody else admits Sessions of this Agent meanwhile.
 */
export class AgentLoop {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #pending: PendingPods;
  readonly #starter: SessionStarter;
  readonly #statusWriter: AgentStatusWriter;
  readonly #verdicts: Verdicts;
  readonly #pool: PoolKeeper;
  readonly #recorder: RevisionRecorder;
  readonly #lastGood: LastGood;
  readonly #platform: Platform;
  readonly #metrics: ControllerMetrics;
  readonly #clock: Clock;
  readonly #positionsToldAt = new Map<string, number>();
  /** Agents with Sessions that wait for a place or a pod. */
  readonly #waiting = new Set<string>();
  /** An object never changes; to parse and hash it in every pass would cost more than the rest of the pass. */
  readonly #judged = new WeakMap<Agent, AgentVerdict>();

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    pending: PendingPods;
    starter: SessionStarter;
    statusWriter: AgentStatusWriter;
    verdicts: Verdicts;
    pool: PoolKeeper;
    recorder: RevisionRecorder;
    lastGood: LastGood;
    platform: Platform;
    metrics: ControllerMetrics;
    clock: Clock;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#starter = deps.starter;
    this.#statusWriter = deps.statusWriter;
    this.#verdicts = deps.verdicts;
    this.#pool = deps.pool;
    this.#recorder = deps.recorder;
    this.#lastGood = deps.lastGood;
    this.#platform = deps.platform;
    this.#metrics = deps.metrics;
    this.#clock = deps.clock;
  }

  /** Whether Sessions of this Agent waited for a place or a pod when it was last looked at. */
  hasWaiting(key: string): boolean {
    return this.#waiting.has(key);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const settleInMs = await this.#settlePending(key);
    this.#verdicts.prune();
    const open = this.#caches.sessions.byIndex(INDEX.openByAgent, key);
    const passed = open.filter((session) => this.#verdicts.pendingOf(session) !== undefined);
    const agent = await this.#findAgent(
      key,
      open.some((session) => session.status?.podUID === undefined),
    );
    const verdict = agent && this.#judge(agent);
    // What the Agent's status says. A template that was refused a while ago is tried again all the same.
    const shown = verdict && withRefusal(verdict, this.#starter.refusalOf(key));
    const chosen = this.#choose(key, agent, verdict, signal);
    // It comes again as soon as that is known.
    if (chosen === 'loading') return settleInMs === undefined ? {} : { requeueAfterMs: Math.max(1, settleInMs) };
    const { pool: wanted, idle, ...known } = chosen;
    // What Sessions get: that of the last good revision, where the present one cannot start.
    const served = wanted?.instead ?? verdict;
    const refused = served && withRefusal(served, this.#starter.refusalOf(key));
    const refusal =
      refused?.ok === false && served?.ok === true && !this.#starter.mayProbe(key) ? refused.message : undefined;
    const livePods = this.#livePods(key);
    const tellPositions =
      this.#clock.monotonic() - (this.#positionsToldAt.get(key) ?? -Infinity) >= TELL_POSITIONS_EVERY_MS;
    const plan = planAgent({
      agent: stateOf(agent, served, refusal),
      sessions: open,
      livePods,
      idle,
      sessionsOn: () => this.#sessionsOn(key),
      bound: this.#bound(key, open),
      judged: new Set(passed.map(({ metadata }) => metadata.uid)),
      retryAt: this.#starter.retryTimes(key, open),
      tellPositions,
      now: this.#clock.now(),
    });
    if (plan.toldPositions) this.#positionsToldAt.set(key, this.#clock.monotonic());
    if (plan.queued === 0) this.#positionsToldAt.delete(key);
    if (plan.waiting > 0) this.#waiting.add(key);
    else this.#waiting.delete(key);

    const bounds = { limit: PARALLEL, signal };
    const status = this.#carryOutStatuses(plan, passed, bounds);
    const heldMs = this.#starter.heldMs(key);
    if (agent !== undefined && served?.ok === true && heldMs <= 0)
      this.#starter.begin(key, agent, served, plan.start, signal);
    const pool = this.#keepPool(key, agent, wanted, { plan, idle, livePods }, signal);
    const counted = this.#report(key, agent, shown, plan, pool, known);
    const results = await Promise.allSettled([status, counted]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const countsInMs = await counted;

    const retries = [...this.#starter.retryTimes(key, open).values()].map((at) => at - this.#clock.now());
    const wakeUps = [
      plan.requeueAfterMs,
      settleInMs,
      countsInMs,
      pool?.requeueAfterMs,
      heldMs > 0 ? heldMs : undefined,
      ...retries,
      plan.positionsWaiting ? TELL_POSITIONS_EVERY_MS : undefined,
    ];
    const soonest = Math.min(...wakeUps.filter((ms) => ms !== undefined));
    return Number.isFinite(soonest) ? { requeueAfterMs: Math.max(1, soonest) } : {};
  }

  #judge(agent: Agent): AgentVerdict {
    const verdict = this.#judged.get(agent) ?? judgeAgent(agent, this.#platform);
    this.#judged.set(agent, verdict);
    return verdict;
  }

  /** Which revision Sessions get, and what waits for them. */
  #choose(
    key: string,
    agent: Agent | undefined,
    verdict: AgentVerdict | undefined,
    signal: AbortSignal,
  ): ({ pool?: PoolOf; idle: WarmPod[] } & KnownRevisions) | 'loading' {
    if (agent === undefined || verdict?.ok !== true) return { idle: [] };
    const { revision } = verdict;
    const recorded = this.#recorder.recordedOf(key, agent);
    if (recorded !== revision) this.#recorder.record(key, agent, verdict, signal);
    const idle = this.#pool.idle(key, revision);
    const isReady = idle.some(({ current, ready, usable }) => current && ready && usable);
    if (isReady && recorded === revision) this.#lastGood.sawReady(key, agent, revision);
    const lastReady = this.#lastGood.revisionOf(key, agent);
    const hasOther = lastReady !== undefined && lastReady !== revision;
    const broken = hasOther && this.#pool.isBroken(key, agent, verdict, isReady);
    const instead = broken ? this.#lastGood.insteadOf(key, agent, verdict, signal) : undefined;
    if (instead === 'loading') return instead;
    const pool = { present: verdict, hasOther, broken, instead };
    return { pool, recorded, lastReady, idle: instead ? this.#pool.idle(key, instead.revision, revision) : idle };
  }

  /** A request without a clear reply: once it can no longer be carried out, a fresh read says what became of it. */
  async #settlePending(key: string): Promise<number | undefined> {
    let soonest: number | undefined;
    for (const pod of this.#pending.ofAgent(key)) {
      if (pod.state !== 'unknown') continue;
      const inMs = this.#pending.settlesInMs(pod);
      if (inMs > 0) {
        soonest = Math.min(soonest ?? Infinity, inMs);
        continue;
      }
      try {
        this.#caches.pods.writeThrough(await this.#api.get(podResource, { namespace: pod.namespace, name: pod.name }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      this.#pending.settled(pod);
    }
    return soonest;
  }

  /** The Agent from the cache. A Session may be seen before its Agent: what the cache does not know is asked for. */
  async #findAgent(key: string, needed: boolean): Promise<Agent | undefined> {
    const cached = this.#caches.agents.get(key);
    if (cached !== undefined || !needed) return cached;
    try {
      const fresh = await this.#api.get(agents, splitKey(key));
      this.#caches.agents.writeThrough(fresh);
      return fresh;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #livePods(key: string): LivePod[] {
    const pending = new Map(this.#pending.ofAgent(key).map((pod) => [pod.name, pod]));
    const live = this.#caches.pods.byIndex(INDEX.liveByAgent, key).map((pod) => {
      const { name } = pod.metadata;
      const sessionUid = sessionUidOf(pod) ?? pending.get(name)?.sessionUid;
      pending.delete(name);
      return { name, sessionUid };
    });
    return [...live, ...[...pending.values()].map(({ name, sessionUid }) => ({ name, sessionUid }))];
  }

  #sessionsOn(key: string): Map<string, number> {
    const counts = new Map<string, number>();
    for (const pod of this.#caches.pods.byIndex(INDEX.liveByAgent, key)) {
      const node = pod.spec?.nodeName;
      if (node !== undefined && !isWarm(pod)) counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    return counts;
  }

  #bound(key: string, open: readonly Session[]): Set<string> {
    const bound = new Set(this.#pending.ofAgent(key).flatMap(({ sessionUid }) => sessionUid ?? []));
    for (const session of open) {
      const { uid } = session.metadata;
      const pods = this.#caches.pods.byIndex(INDEX.sessionUid, uid);
      if (pods.some((pod) => !isSpent(session, pod))) bound.add(uid);
    }
    return bound;
  }

  /** What waits for Sessions, once those of this pass have got their pods. */
  #keepPool(
    key: string,
    agent: Agent | undefined,
    wanted: PoolOf | undefined,
    { plan, idle, livePods }: { plan: AgentPlan; idle: readonly WarmPod[]; livePods: readonly LivePod[] },
    signal: AbortSignal,
  ): PoolReport | undefined {
    if (agent === undefined) this.#pool.drop(key);
    if (agent === undefined || wanted === undefined) return undefined;
    const claimed = new Set(plan.start.map(({ pod }) => pod?.metadata.uid));
    const made = plan.start.filter(({ pod }) => pod === undefined).length;
    return this.#pool.keep(
      key,
      agent,
      wanted,
      {
        idle: idle.filter(({ pod }) => !claimed.has(pod.metadata.uid)),
        pods: livePods.length + made,
        active: plan.activeSoon,
        started: plan.start.length,
      },
      signal,
    );
  }

  async #carryOutStatuses(
    { statuses }: AgentPlan,
    passed: readonly Session[],
    bounds: { limit: number; signal: AbortSignal },
  ): Promise<void> {
    const again = passed.map((session) => ({
      session,
      status: this.#verdicts.pendingOf(session),
      outcome: 'Rejected',
    }));
    await forEachBounded([...again, ...statuses], bounds, async ({ session, status, outcome }) => {
      if (status === undefined) return;
      if (outcome === 'Queued') await writeStatus(this.#api, sessionResource, this.#caches.sessions, session, status);
      else await this.#verdicts.pass(session, status);
    });
  }

  /** Metrics at once, the Agent's status now and then; returns when the status is due, if it is not up to date. */
  async #report(
    key: string,
    agent: Agent | undefined,
    verdict: AgentVerdict | undefined,
    plan: AgentPlan,
    pool: PoolReport | undefined,
    known: KnownRevisions,
  ): Promise<number | undefined> {
    const { namespace, name } = splitKey(key);
    const counts = { active: plan.active, queued: plan.queued, warm: pool?.warm ?? 0 };
    if (agent === undefined || verdict === undefined) {
      this.#metrics.forgetAgent({ namespace, agent: name });
      this.#statusWriter.forget(key);
      this.#starter.forget(key);
      this.#recorder.forget(key);
      this.#lastGood.forget(key);
      return undefined;
    }
    this.#metrics.setAgent(
      { namespace, agent: name },
      { ...counts, maxAgents: verdict.ok ? verdict.spec.scaling.maxAgents : 0 },
    );
    return this.#statusWriter.write(key, agent, verdict, { ...counts, ...known }, pool);
  }
}

function stateOf(agent: Agent | undefined, verdict: AgentVerdict | undefined, refusal: string | undefined): AgentState {
  if (agent === undefined || verdict === undefined) return { state: 'missing' };
  if (!verdict.ok)
    return { state: 'refusing', reason: verdict.reject, message: `Agent ${agent.metadata.name}: ${verdict.message}` };
  if (refusal === undefined) return { state: 'serving', spec: verdict.spec };
  return { state: 'serving', spec: verdict.spec, refusal: `Agent ${agent.metadata.name}: ${refusal}` };
}
