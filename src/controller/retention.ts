import type { Agent, AgentSpec } from '../api/agent.ts';
import { agentLimits } from '../api/limits.ts';
import { annotations, labels, startedByGateway } from '../api/names.ts';
import { parseAgentSpec } from '../api/parse.ts';
import { sessions as sessionResource } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { sleep, type Clock } from '../kube/clock.ts';
import type { ReconcileResult } from '../kube/controller.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import type { KubeObject, Pod } from '../kube/objects.ts';
import { pods as podResource, refOf, type Resource } from '../kube/resources.ts';
import { hasOurFinalizer } from '../pods/finalizer.ts';
import { lastFinishedAt } from '../pods/pod-facts.ts';
import { INDEX, type Caches } from './caches.ts';
import { finishedAt } from './session-status.ts';

type Retention = AgentSpec['retention'];

/** What applies to the traces of an Agent that no longer exists, or whose spec cannot be read. */
const DEFAULT_RETENTION: Retention = {
  pods: { seconds: agentLimits.retainedPodSeconds.default, count: agentLimits.retainedPods.default },
  sessions: { seconds: agentLimits.retainedSessionSeconds.default, count: agentLimits.retainedSessions.default },
};

/** A start over REST that was refused has been told so, and deleted by whoever told it: this is what is left when that was killed. */
const REFUSED = { seconds: 15, count: 1000 };

/** A caller may repeat a start for ten minutes with its `Idempotency-Key`, and is to get the same session. */
const KEPT_FOR_RETRIES_MS = 660_000;

export interface RetentionPlan {
  pods: Pod[];
  sessions: Session[];
  /** When the next one becomes too old. */
  requeueAfterMs?: number;
}

/**
 * Which traces of ended sessions have been kept long enough. Nothing goes before its end is recorded: a pod that still
 * has our finalizer is not looked at. Sessions that somebody's manifest made are theirs, only those started over REST
 * and without a time to live of their own go.
 */
export function planRetention(view: {
  endedPods: readonly Pod[];
  finishedSessions: readonly Session[];
  retention: Retention;
  now: number;
}): RetentionPlan {
  const { retention, now } = view;
  const pods = expired(
    view.endedPods.filter((pod) => !hasOurFinalizer(pod) && pod.metadata.deletionTimestamp === undefined),
    (pod) => Date.parse(lastFinishedAt(pod) ?? pod.metadata.creationTimestamp),
    retention.pods,
    now,
  );
  const ours = view.finishedSessions.filter(isOursToForget);
  const refused = expired(ours.filter(isRejected), finishedAt, REFUSED, now);
  const sessions = expired(
    ours.filter((session) => !isRejected(session) && !isKept(session, now)),
    (session) => finishedAt(session) || Date.parse(session.metadata.creationTimestamp),
    retention.sessions,
    now,
  );
  const kept = ours
    .filter((session) => !isRejected(session) && isKept(session, now))
    .map((session) => keptUntil(session) - now);
  const next = Math.min(pods.nextMs, sessions.nextMs, refused.nextMs, ...kept);
  return {
    pods: pods.expired,
    sessions: [...refused.expired, ...sessions.expired],
    ...(Number.isFinite(next) && { requeueAfterMs: Math.max(1, next) }),
  };
}

function isRejected({ status }: Session): boolean {
  return status?.phase === 'Rejected';
}

/** One that may be asked for again by its `Idempotency-Key`. */
function isKept(session: Session, now: number): boolean {
  return session.metadata.annotations?.[annotations.request] !== undefined && keptUntil(session) > now;
}

function keptUntil({ metadata }: Session): number {
  return Date.parse(metadata.creationTimestamp) + KEPT_FOR_RETRIES_MS;
}

function isOursToForget(session: Session): boolean {
  return (
    session.metadata.labels?.[labels.startedBy] === startedByGateway &&
    session.spec.ttlSecondsAfterFinished === undefined &&
    session.metadata.deletionTimestamp === undefined
  );
}

/** Those beyond the newest `count`, and those older than `seconds`; and when the oldest of the others will be. */
function expired<T>(
  items: readonly T[],
  endedAt: (item: T) => number,
  { seconds, count }: { seconds: number; count: number },
  now: number,
): { expired: T[]; nextMs: number } {
  const newestFirst = [...items].sort((a, b) => endedAt(b) - endedAt(a));
  const keep = newestFirst.slice(0, count).filter((item) => endedAt(item) + seconds * 1000 > now);
  const oldest = keep.at(-1);
  return {
    expired: newestFirst.slice(keep.length),
    nextMs: oldest === undefined ? Infinity : endedAt(oldest) + seconds * 1000 - now,
  };
}

/** Removes the traces of ended sessions of one Agent's name, whether the Agent exists or not. */
export class RetentionLoop {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #clock: Clock;

  constructor(deps: { api: KubeApi; caches: Caches; clock: Clock }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#clock = deps.clock;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const plan = planRetention({
      endedPods: this.#caches.pods.byIndex(INDEX.endedByAgent, key),
      finishedSessions: this.#caches.sessions.byIndex(INDEX.finishedByAgent, key),
      retention: retentionOf(this.#caches.agents.get(key)),
      now: this.#clock.now(),
    });
    for (const pod of plan.pods) await this.#delete(podResource, pod, signal);
    for (const session of plan.sessions) await this.#delete(sessionResource, session, signal);
    return plan.requeueAfterMs === undefined ? {} : { requeueAfterMs: plan.requeueAfterMs };
  }

  /** Takes at most half of the time: nobody waits for a deletion, and somebody does for a session that starts meanwhile. */
  async #delete<T extends KubeObject>(resource: Resource<T>, object: T, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const began = this.#clock.monotonic();
    try {
      await this.#api.delete(resource, refOf(object), { uid: object.metadata.uid, propagationPolicy: 'Background' });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error; // Gone already, or another object by that name.
    }
    const tookMs = this.#clock.monotonic() - began;
    if (tookMs > 0) await sleep(this.#clock, tookMs, signal).catch(() => undefined);
  }
}

function retentionOf(agent: Agent | undefined): Retention {
  const parsed = agent === undefined ? undefined : parseAgentSpec(agent.spec);
  return parsed?.ok ? parsed.spec.retention : DEFAULT_RETENTION;
}
