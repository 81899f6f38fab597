import type { Agent, AgentStatus } from '../api/agent.ts';
import { labels, managedBy } from '../api/names.ts';
import type { GuardReason } from '../api/reasons.ts';
import { agents, sessions } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import { referenceTo, type EventRecorder } from '../kube/events.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';
import type { ControllerMetrics } from '../telemetry/metrics.ts';
import { usageOf, type Ledger } from '../usage/ledger.ts';
import type { Arrivals } from './arrivals.ts';

/** Tells the world of what has been recorded: Events for people, counters for dashboards. It decides nothing. */
export class Announcer {
  readonly #events: EventRecorder;
  readonly #metrics: ControllerMetrics;
  readonly #ledger: Ledger;
  readonly #arrivals: Arrivals;

  constructor(deps: { events: EventRecorder; metrics: ControllerMetrics; ledger: Ledger; arrivals: Arrivals }) {
    this.#events = deps.events;
    this.#metrics = deps.metrics;
    this.#ledger = deps.ledger;
    this.#arrivals = deps.arrivals;
  }

  /** A Session is over (its status says how). One that had a pod is counted when the pod is let go, not here. */
  finished(session: Session): void {
    const { status, metadata, spec } = session;
    this.#arrivals.forget(session);
    const reason = status?.reason ?? 'Unknown';
    if (status?.phase === 'Rejected') {
      // The name of an Agent that does not exist is the caller's invention: as a label it would grow without bound. That of a spec
      // that cannot be read need not even be a name.
      const agent = reason === 'AgentNotFound' || reason === 'SessionInvalid' ? '' : spec.agent;
      this.#metrics.sessionRejected({ namespace: metadata.namespace ?? '', agent }, reason);
      if (status.queuedAt !== undefined) this.#metrics.sessionWaited(secondsBetween(status.queuedAt, status.endedAt));
    } else if (status?.podUID === undefined) {
      this.#ledger.count(usageOf(session));
    }
    if (reason === 'Completed') return;
    this.#events.event({
      regarding: referenceTo(sessions, session),
      type: reason === 'Stopped' ? 'Normal' : 'Warning',
      reason,
      action: status?.phase === 'Rejected' ? 'Reject' : 'End',
      note: status?.message ?? '',
    });
  }

  /** A Session runs: its agent's container has started. */
  started(session: Session): void {
    const { status } = session;
    this.#metrics.sessionStarted(status?.startKind ?? 'Cold', this.#arrivals.takeAge(session));
    if (status?.queuedAt !== undefined) this.#metrics.sessionWaited(secondsBetween(status.queuedAt, status.admittedAt));
  }

  /** A Session waits for a cause that a person may have to remove. */
  waiting(session: Session): void {
    const { status } = session;
    if (status?.reason === undefined) return;
    this.#events.event({
      regarding: referenceTo(sessions, session),
      type: 'Warning',
      reason: status.reason,
      action: 'Start',
      note: status.message ?? '',
    });
  }

  /** Somebody else's object has the name of one of ours, so that the namespace goes without it. */
  nameTaken(resource: Resource, object: KubeObject): void {
    this.#events.event({
      regarding: referenceTo(resource, object),
      type: 'Warning',
      reason: 'NameTaken' satisfies GuardReason,
      action: 'Protect',
      note: `Bullpen needs a ${resource.kind} of this name to protect the sessions of this namespace, and this one is not its own. Rename it, or give it to Bullpen with the label ${labels.managedBy}=${managedBy}.`,
    });
  }

  agentStalled(agent: Agent, status: AgentStatus): void {
    const stalled = status.conditions?.find((condition) => condition.type === 'Stalled');
    this.#events.event({
      regarding: referenceTo(agents, agent),
      type: 'Warning',
      reason: stalled?.reason ?? 'Stalled',
      action: 'Validate',
      note: stalled?.message ?? '',
    });
  }
}

function secondsBetween(from: string, to: string | undefined): number {
  return to === undefined ? 0 : (Date.parse(to) - Date.parse(from)) / 1000;
}
