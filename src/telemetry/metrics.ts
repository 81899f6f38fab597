import { collectDefaultMetrics, Registry } from 'prom-client';
import { AgentSeries, type AgentKey } from './agent-series.ts';
import { controllerCatalogue, programCatalogue, registerCatalogue } from './catalogue.ts';

export type { AgentKey } from './agent-series.ts';

/** What an Agent's gauges show. */
interface AgentCounts {
  /** Sessions admitted and not ended. */
  readonly active: number;
  /** Sessions waiting for capacity. */
  readonly queued: number;
  /** Ready pods without a Session. */
  readonly warm: number;
  /** `spec.scaling.maxAgents`. */
  readonly maxAgents: number;
}

/** How a Session came to its pod; `None` when it never had one. */
export type StartLabel = 'Cold' | 'Warm' | 'None';

/**
 * What the controller reports about Agents and Sessions. Each method is one fact; all are synchronous and never
 * throw. Times are in seconds; negative ones (differences of clocks) count as 0.
 */
export interface ControllerMetrics {
  /** The Agent exists, and these are its numbers now. The gauges stay until {@link forgetAgent}. */
  setAgent(agent: AgentKey, counts: AgentCounts): void;
  /** The Agent is gone (or this process leads no longer): gauges go at once, counters when they were scraped. */
  forgetAgent(agent: AgentKey): void;
  /** A Session became Running, `seconds` after its creation. */
  sessionStarted(start: 'Cold' | 'Warm', seconds: number): void;
  /** A Session left the queue, admitted or refused, after `seconds`. */
  sessionWaited(seconds: number): void;
  /** A Session's end was recorded. `usedSeconds`: what it used, see `sessionSeconds`. */
  sessionEnded(agent: AgentKey, end: { outcome: string; start: StartLabel; usedSeconds: number }): void;
  /** A Session was refused. When that is for want of its Agent, the label `agent` stays empty: anybody can invent names. */
  sessionRejected(agent: AgentKey, reason: string): void;
  /** A Session was cut at its limit, `seconds` past it. */
  sessionCut(seconds: number): void;
  /** The sweep deleted an object that nothing accounts for. */
  orphanRemoved(kind: string): void;
  /** A pod was let go after its Session's end was recorded. */
  finalizerReleased(): void;
}

/** A registry with the metrics of every program: version, process, event loop, garbage collection. */
export function createRegistry(options: { readonly version: string }): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerCatalogue(programCatalogue, registry).buildInfo.set({ version: options.version }, 1);
  return registry;
}

/**
 * Registers the controller's metrics.
 *
 * @param options.now monotonic time in milliseconds, for the expiry of a deleted Agent's counters
 */
export function createControllerMetrics(
  registry: Registry,
  options: { readonly now: () => number } = { now: () => performance.now() },
): ControllerMetrics {
  const series = new AgentSeries(options.now);
  const metrics = registerCatalogue(controllerCatalogue, registry, () => series.sweep());

  const addSeconds = (agent: AgentKey, seconds: number) => {
    const labels = pick(agent);
    metrics.sessionSeconds.inc(labels, notNegative(seconds));
    series.touch(agent, 'seconds', () => metrics.sessionSeconds.remove(labels));
  };
  const addSession = (agent: AgentKey, outcome: string, start: StartLabel) => {
    const labels = { ...pick(agent), outcome, start };
    metrics.sessions.inc(labels);
    series.touch(agent, `sessions/${outcome}/${start}`, () => metrics.sessions.remove(labels));
  };

  return {
    setAgent(agent, counts) {
      const labels = pick(agent);
      series.live(agent);
      metrics.agentActiveSessions.set(labels, counts.active);
      metrics.agentQueuedSessions.set(labels, counts.queued);
      metrics.agentWarmPods.set(labels, counts.warm);
      metrics.agentMaxAgents.set(labels, counts.maxAgents);
      // A counter that starts at 0 lets increase() see its first Session.
      addSeconds(agent, 0);
    },
    forgetAgent(agent) {
      const labels = pick(agent);
      metrics.agentActiveSessions.remove(labels);
      metrics.agentQueuedSessions.remove(labels);
      metrics.agentWarmPods.remove(labels);
      metrics.agentMaxAgents.remove(labels);
      series.forget(agent);
    },
    sessionStarted(start, seconds) {
      metrics.sessionStart.observe({ start }, notNegative(seconds));
    },
    sessionWaited(seconds) {
      metrics.sessionWait.observe(notNegative(seconds));
    },
    sessionEnded(agent, { outcome, start, usedSeconds }) {
      addSession(agent, outcome, start);
      addSeconds(agent, usedSeconds);
    },
    sessionRejected({ namespace, agent: name }, reason) {
      const agent = { namespace, agent: reason === 'AgentNotFound' ? '' : name };
      const labels = { ...pick(agent), reason };
      addSession(agent, 'Rejected', 'None');
      metrics.sessionsRejected.inc(labels);
      series.touch(agent, `rejected/${reason}`, () => metrics.sessionsRejected.remove(labels));
    },
    sessionCut(seconds) {
      metrics.sessionOvertime.observe(notNegative(seconds));
    },
    orphanRemoved(kind) {
      metrics.orphansRemoved.inc({ kind });
    },
    finalizerReleased() {
      metrics.finalizersReleased.inc();
    },
  };
}

/** Callers may pass larger objects; prom-client refuses labels that it does not know. */
function pick({ namespace, agent }: AgentKey): AgentKey & Record<'namespace' | 'agent', string> {
  return { namespace, agent };
}

/** Also guards against NaN, on which prom-client throws. */
function notNegative(seconds: number): number {
  return seconds > 0 && Number.isFinite(seconds) ? seconds : 0;
}
