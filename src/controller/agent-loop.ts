import type { Agent } from '../api/agent.ts';
import { agents, sessions as sessionResource } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import type { ReconcileResult } from '../kube/controller.ts';
import { isNotFound } from '../kube/errors.ts';
import { pods as podResource } from '../kube/resources.ts';
import { sessionUidOf } from '../pods/binding.ts';
import type { SessionPodPolicy } from '../pods/policy.ts';
import type { ControllerMetrics } from '../telemetry/metrics.ts';
import { planAgent, type AgentPlan, type AgentState, type LivePod } from './agent-plan.ts';
import { judgeAgent, withRefusal, type AgentVerdict } from './agent-state.ts';
import type { AgentStatusWriter } from './agent-status-writer.ts';
import { forEachBounded } from './bounded.ts';
import { INDEX, splitKey, type Caches } from './caches.ts';
import type { PendingPods } from './pending-pods.ts';
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
  readonly #policy: SessionPodPolicy;
  readonly #metrics: ControllerMetrics;
  readonly #clock: Clock;
  readonly #positionsToldAt = new Map<string, number>();
  /** An object never changes; to parse and hash it in every pass would cost more than the rest of the pass. */
  readonly #judged = new WeakMap<Agent, AgentVerdict>();

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    pending: PendingPods;
    starter: SessionStarter;
    statusWriter: AgentStatusWriter;
    verdicts: Verdicts;
    policy: SessionPodPolicy;
    metrics: ControllerMetrics;
    clock: Clock;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#starter = deps.starter;
    this.#statusWriter = deps.statusWriter;
    this.#verdicts = deps.verdicts;
    this.#policy = deps.policy;
    this.#metrics = deps.metrics;
    this.#clock = deps.clock;
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
    // What the Agent's status says, and what decides: a template that was refused a while ago is tried again.
    const judged = agent && this.#judge(agent);
    const shown = judged && withRefusal(judged, this.#starter.refusalOf(key));
    const verdict = this.#starter.mayProbe(key) ? judged : shown;
    const livePods = this.#livePods(key);
    const tellPositions =
      this.#clock.monotonic() - (this.#positionsToldAt.get(key) ?? -Infinity) >= TELL_POSITIONS_EVERY_MS;
    const plan = planAgent({
      agent: stateOf(agent, verdict),
      sessions: open,
      livePods,
      bound: this.#bound(key, open, passed),
      retryAt: this.#starter.retryTimes(key, open),
      tellPositions,
      now: this.#clock.now(),
    });
    if (plan.toldPositions) this.#positionsToldAt.set(key, this.#clock.monotonic());
    if (plan.queued === 0) this.#positionsToldAt.delete(key);

    const bounds = { limit: PARALLEL, signal };
    const status = this.#carryOutStatuses(plan, passed, bounds);
    const starts = forEachBounded(plan.start, bounds, async (start) => {
      if (agent !== undefined && verdict?.ok === true) await this.#starter.start(key, agent, verdict, start);
    });
    const counted = this.#report(key, agent, shown, plan);
    const results = await Promise.allSettled([starts, status, counted]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const countsInMs = await counted;

    const retries = [...this.#starter.retryTimes(key, open).values()].map((at) => at - this.#clock.now());
    const wakeUps = [
      plan.requeueAfterMs,
      settleInMs,
      countsInMs,
      ...retries,
      plan.positionsWaiting ? TELL_POSITIONS_EVERY_MS : undefined,
    ];
    const soonest = Math.min(...wakeUps.filter((ms) => ms !== undefined));
    return Number.isFinite(soonest) ? { requeueAfterMs: Math.max(1, soonest) } : {};
  }

  #judge(agent: Agent): AgentVerdict {
    const verdict = this.#judged.get(agent) ?? judgeAgent(agent, this.#policy);
    this.#judged.set(agent, verdict);
    return verdict;
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
    const live = this.#caches.pods.byIndex(INDEX.liveByAgent, key).map((pod) => ({
      name: pod.metadata.name,
      sessionUid: sessionUidOf(pod),
    }));
    const known = new Set(live.map((pod) => pod.name));
    for (const pod of this.#pending.ofAgent(key))
      if (!known.has(pod.name)) live.push({ name: pod.name, sessionUid: pod.sessionUid });
    return live;
  }

  #bound(key: string, open: readonly Session[], passed: readonly Session[]): Set<string> {
    const bound = new Set(this.#pending.ofAgent(key).map((pod) => pod.sessionUid));
    for (const { metadata } of passed) bound.add(metadata.uid);
    for (const { metadata } of open)
      if (this.#caches.pods.countByIndex(INDEX.sessionUid, metadata.uid) > 0) bound.add(metadata.uid);
    return bound;
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
  ): Promise<number | undefined> {
    const { namespace, name } = splitKey(key);
    const counts = { active: plan.active, queued: plan.queued, warm: 0 };
    if (agent === undefined || verdict === undefined) {
      this.#metrics.forgetAgent({ namespace, agent: name });
      this.#statusWriter.forget(key);
      this.#starter.forget(key);
      return undefined;
    }
    this.#metrics.setAgent(
      { namespace, agent: name },
      { ...counts, maxAgents: verdict.ok ? verdict.spec.scaling.maxAgents : 0 },
    );
    return this.#statusWriter.write(key, agent, verdict, counts);
  }
}

function stateOf(agent: Agent | undefined, verdict: AgentVerdict | undefined): AgentState {
  if (agent === undefined || verdict === undefined) return { state: 'missing' };
  if (!verdict.ok)
    return { state: 'refusing', reason: verdict.reject, message: `Agent ${agent.metadata.name}: ${verdict.message}` };
  return { state: 'serving', spec: verdict.spec };
}
