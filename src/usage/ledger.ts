import type { Session, SessionStatus } from '../api/session.ts';
import type { ControllerMetrics, StartLabel } from '../telemetry/metrics.ts';

/** What one session cost, as it is counted. */
export interface Usage {
  namespace: string;
  agent: string;
  /** Its end reason. */
  outcome: string;
  start: StartLabel;
  /** See `sessionSeconds`. */
  seconds: number;
  /** Seconds past its limit, for a session that was cut at it. */
  overtimeSeconds?: number;
}

/**
 * Counts what each session cost, once.
 *
 * The finalizer on a session's pod is the durable mark of a session that has not been counted, and its removal, which
 * succeeds once, of one that has. `open` goes before the removal, `close` after it: when the reply to the removal is
 * lost, the session is counted as soon as the pod is seen without its finalizer.
 */
export class Ledger {
  readonly #metrics: ControllerMetrics;
  readonly #open = new Map<string, Usage>();
  /** Counted, while the cache may still show the pod as not let go. */
  readonly #counted = new Set<string>();

  constructor(metrics: ControllerMetrics) {
    this.#metrics = metrics;
  }

  /** The pod of the session with this uid is about to be let go. */
  open(sessionUid: string, usage: Usage): void {
    if (!this.#counted.has(sessionUid)) this.#open.set(sessionUid, usage);
  }

  /** It has been let go: count it, if that was ours to do. */
  close(sessionUid: string): void {
    const usage = this.#open.get(sessionUid);
    if (usage === undefined) return;
    this.#open.delete(sessionUid);
    this.#counted.add(sessionUid);
    this.count(usage);
  }

  /** The cache shows that its pod is let go, or gone: count it if that is still to be done, and remember it no longer. */
  settle(sessionUid: string): void {
    this.close(sessionUid);
    this.#counted.delete(sessionUid);
  }

  /** Counts a session that has no pod to let go. */
  count({ namespace, agent, outcome, start, seconds, overtimeSeconds }: Usage): void {
    this.#metrics.sessionEnded({ namespace, agent }, { outcome, start, usedSeconds: seconds });
    if (overtimeSeconds !== undefined) this.#metrics.sessionCut(overtimeSeconds);
  }
}

/** The usage of a Session that has ended, from its recorded status. */
export function usageOf(session: Session): Usage {
  const status: SessionStatus = session.status ?? {};
  const overtime = overtimeSeconds(status);
  return {
    namespace: session.metadata.namespace ?? '',
    agent: session.spec.agent,
    outcome: status.reason ?? 'Lost',
    start: status.podUID === undefined ? 'None' : (status.startKind ?? 'Cold'),
    seconds: status.usageSeconds ?? 0,
    ...(overtime !== undefined && { overtimeSeconds: overtime }),
  };
}

/** Only where both times are the kubelet's: two clocks are never subtracted. */
function overtimeSeconds({ reason, startedAt, endedAt, endedAtSource, limits }: SessionStatus): number | undefined {
  if (reason !== 'DeadlineExceeded' || endedAtSource !== 'Kubelet' || !startedAt || !endedAt || !limits)
    return undefined;
  return Math.max(0, (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 - limits.maxSessionDuration);
}
