import type { Agent, AgentSpec } from '../api/agent.ts';
import { labels, startedByGateway } from '../api/names.ts';
import type { RejectReason, WaitReason } from '../api/reasons.ts';
import { sessions as sessionResource } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { sleep, type Clock } from '../kube/clock.ts';
import { KubeError } from '../kube/errors.ts';
import type { Logger } from '../kube/logger.ts';
import type { Binding } from '../pods/binding.ts';
import { WARM_START_WINDOW_SECONDS } from '../pods/claim.ts';
import { sessionPodName } from '../pods/names.ts';
import { isReady } from '../pods/pod-facts.ts';
import type { Start } from './agent-plan.ts';
import type { Serving } from './agent-state.ts';
import type { Announcer } from './announcer.ts';
import { findBody, type BodyResult, type BodySource } from './body.ts';
import { type Caches } from './caches.ts';
import type { PendingPods } from './pending-pods.ts';
import { creationBackoffMs, creationFailure } from './pod-creation.ts';
import { Background } from './pool/background.ts';
import type { PodBinder } from './pod-binder.ts';
import type { PodFactory } from './pod-factory.ts';
import { attemptOf } from './session-retry.ts';
import { isActive } from '../api/session-phase.ts';
import { endedStatus, rejectedStatus, waitingForPodStatus } from './session-status.ts';
import type { Verdicts } from './verdicts.ts';
import { writeStatus } from './write-status.ts';

/** Sessions that are given their pods at one time, of all Agents and of one. */
const PARALLEL = { limit: 24, perKey: 16 };

/** After a request without an answer the next one comes sooner than after a refusal. */
const TROUBLE_PART = 5;

/** How long Sessions of an Agent are refused because Kubernetes called its template invalid; then one try decides again. */
const PROBE_AFTER_MS = 30_000;

/** How long the Secret of a body that comes over REST may be behind its Session. */
const BODY_COMES_MS = 5_000;

type FoundBody = Extract<BodyResult, { ok: true }>;

/**
 * Gives a Session its pod: by one claim of a pod that waits, or by one create, under a name that follows from the Session's uid, so
 * that doing it twice makes one pod. The pod is the record of the admission; the Session's status follows from it
 * (`session-loop.ts`).
 */
export class SessionStarter {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #bodies: BodySource;
  readonly #pending: PendingPods;
  readonly #verdicts: Verdicts;
  readonly #announcer: Announcer;
  readonly #factory: PodFactory;
  readonly #binder: PodBinder;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #logger: Logger;
  readonly #wake: (agentKey: string) => void;
  /** Pods that Kubernetes refused, by the Session's uid: when to try again. */
  readonly #failures = new Map<string, { agentKey: string; count: number; retryAt: number }>();
  /** Requests of an Agent that failed without an answer, one after the other. */
  readonly #troubles = new Map<string, { count: number; until: number }>();
  readonly #background = new Background(PARALLEL);
  /** Templates that Kubernetes called invalid, by Agent. */
  readonly #refusals = new Map<string, { revision: string; message: string; at: number }>();

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    bodies: BodySource;
    pending: PendingPods;
    verdicts: Verdicts;
    announcer: Announcer;
    factory: PodFactory;
    binder: PodBinder;
    clock: Clock;
    random: () => number;
    logger: Logger;
    wake: (agentKey: string) => void;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#bodies = deps.bodies;
    this.#pending = deps.pending;
    this.#verdicts = deps.verdicts;
    this.#announcer = deps.announcer;
    this.#factory = deps.factory;
    this.#binder = deps.binder;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#logger = deps.logger;
    this.#wake = deps.wake;
  }

  /** What Kubernetes said of the template of this Agent's current pods, if it refused it. */
  refusalOf(agentKey: string): { revision: string; message: string } | undefined {
    return this.#refusals.get(agentKey);
  }

  /** Kubernetes called the template of this revision invalid. */
  refused(agentKey: string, revision: string, message: string): void {
    this.#refusals.set(agentKey, { revision, message, at: this.#clock.monotonic() });
  }

  /** Kubernetes has taken a pod of this revision. */
  accepted(agentKey: string, revision: string): void {
    if (this.#refusals.get(agentKey)?.revision === revision) this.#refusals.delete(agentKey);
  }

  /** Whether a refused template may be tried again: what made Kubernetes refuse it may have changed. */
  mayProbe(agentKey: string): boolean {
    const refusal = this.#refusals.get(agentKey);
    return refusal !== undefined && this.#clock.monotonic() - refusal.at >= PROBE_AFTER_MS;
  }

  /** The Agent is gone. */
  forget(agentKey: string): void {
    this.#refusals.delete(agentKey);
    this.#troubles.delete(agentKey);
  }

  /** When refused pods of this Agent are tried again; forgets Sessions that are no longer `open`. */
  retryTimes(agentKey: string, open: readonly Session[]): Map<string, number> {
    const uids = new Set(open.map((session) => session.metadata.uid));
    const times = new Map<string, number>();
    for (const [uid, failure] of this.#failures) {
      if (failure.agentKey !== agentKey) continue;
      if (uids.has(uid)) times.set(uid, failure.retryAt);
      else this.#failures.delete(uid);
    }
    return times;
  }

  /**
   * Begins to give Sessions their pods, in their order. Whoever plans next sees them as bound, so nobody needs to wait for the replies:
   * Sessions that come meanwhile would wait, too.
   */
  begin(agentKey: string, agent: Agent, verdict: Serving, starts: readonly Start[], signal: AbortSignal): void {
    for (const start of starts) {
      const ref = podOf(start);
      const entry = { agentKey, sessionUid: start.session.metadata.uid, ...ref };
      this.#pending.sent(entry);
      this.#background.run(agentKey, async () => {
        if (signal.aborted) {
          this.#pending.settled(ref);
          return;
        }
        try {
          const bound = await this.#start(agentKey, agent, verdict, start, signal);
          this.#troubles.delete(agentKey);
          if (bound) this.#failures.delete(entry.sessionUid);
          else this.#wake(agentKey);
        } catch (error) {
          this.#troubled(agentKey, error);
          this.#wake(agentKey);
        } finally {
          // Not before what has failed is written down: a Session that waits for its pod has its place.
          this.#pending.settledUnlessUnknown(ref);
        }
      });
    }
  }

  /** How long nothing is begun for this Agent, in milliseconds, because requests fail; 0 or less when that is over. */
  heldMs(agentKey: string): number {
    return (this.#troubles.get(agentKey)?.until ?? 0) - this.#clock.monotonic();
  }

  /** There is no answer. What is not known to be undone stays bound until it is. */
  #troubled(agentKey: string, error: unknown): void {
    const count = (this.#troubles.get(agentKey)?.count ?? 0) + 1;
    this.#troubles.set(agentKey, {
      count,
      until: this.#clock.monotonic() + creationBackoffMs(count, this.#random) / TROUBLE_PART,
    });
    this.#logger.warn({ err: error, agent: agentKey }, 'cannot start a session');
  }

  /**
   * Gives a Session its pod: a waiting one, when the plan says so, else one that is made for it.
   *
   * @returns whether it has one now; if not, why not has been told, or the caches have changed
   */
  async #start(agentKey: string, agent: Agent, verdict: Serving, start: Start, signal: AbortSignal): Promise<boolean> {
    const { session, admittedAt, limits } = start;
    const { uid, name } = session.metadata;
    const body = await this.#findBody(agentKey, verdict, start, signal);
    // Whoever leads next counts on it that nothing is begun after the end.
    if (body === undefined || signal.aborted) return false;
    const attempt = attemptOf(session);
    const common = { agent: agent.metadata.name, session: { name, uid }, admittedAt, attempt, limits };
    try {
      if (start.pod !== undefined) return await this.#binder.claim(agentKey, start.pod, warmBinding(common, start));
      const binding: Binding = { ...common, startKind: 'Cold' };
      await this.#binder.create(agentKey, this.#factory.forSession(agent, verdict, binding, body.body), binding);
      this.accepted(agentKey, verdict.revision);
      return true;
    } catch (error) {
      await this.#failed(error, agentKey, verdict, start);
      return false;
    }
  }

  /** The body of a Session, or undefined when there is none to be had: the Session has been told then. */
  async #findBody(
    agentKey: string,
    { spec }: Serving,
    start: Start,
    signal: AbortSignal,
  ): Promise<FoundBody | undefined> {
    try {
      const found = await this.#lookForBody(start.session, spec.protocol, signal);
      if (found.ok) return found;
      await this.#refuse(start.session, found.reason, found.message);
    } catch (error) {
      if (!(error instanceof KubeError) || error.code === 0) throw error;
      await this.#waits(agentKey, start, {
        reason: 'PodCreateFailed',
        message: `cannot read its body: ${error.message}`,
      });
    }
    return undefined;
  }

  /** The gateway makes the Secret of a body right after its Session, so that it belongs to that: it is waited for. */
  async #lookForBody(session: Session, protocol: AgentSpec['protocol'], signal: AbortSignal): Promise<BodyResult> {
    const isComing = session.metadata.labels?.[labels.startedBy] === startedByGateway;
    const until = this.#clock.monotonic() + BODY_COMES_MS;
    for (let waitMs = 10; ; waitMs = Math.min(2 * waitMs, 500)) {
      const found = await findBody(this.#bodies, session, protocol);
      const missing = !found.ok && found.reason === 'BodyNotFound';
      if (!missing || !isComing || this.#clock.monotonic() >= until) return found;
      await sleep(this.#clock, waitMs, signal);
    }
  }

  async #failed(error: unknown, agentKey: string, verdict: Serving, start: Start): Promise<void> {
    // Without an answer there is nothing to tell; the log has it.
    if (!(error instanceof KubeError) || error.code === 0) throw error;
    const failure = creationFailure(error);
    switch (failure.kind) {
      case 'template':
        this.refused(agentKey, verdict.revision, failure.message);
        await this.#refuse(start.session, 'AgentInvalid', failure.message);
        break;
      case 'session':
        await this.#refuse(start.session, 'SessionInvalid', failure.message);
        break;
      case 'wait':
        await this.#waits(agentKey, start, failure);
        break;
    }
  }

  /** Admitted, and told what it waits for: its start timeout runs from its admission, and it is tried again until then. */
  async #waits(agentKey: string, start: Start, cause: { reason: WaitReason; message: string }): Promise<void> {
    const { session } = start;
    const { uid } = session.metadata;
    const count = (this.#failures.get(uid)?.count ?? 0) + 1;
    this.#failures.set(uid, { agentKey, count, retryAt: this.#clock.now() + creationBackoffMs(count, this.#random) });
    // The first wording stays, so that a Session that waits does not cost a write per try.
    if (session.status?.reason === cause.reason) return;
    const status = waitingForPodStatus(session, start, cause, this.#clock.now());
    const written = await writeStatus(this.#api, sessionResource, this.#caches.sessions, session, status);
    if (written !== undefined) this.#announcer.waiting(written);
  }

  /** A Session that was already admitted in an earlier pass ends; one that was not is rejected. */
  async #refuse(session: Session, reason: RejectReason, message: string): Promise<void> {
    const now = this.#clock.now();
    const status = isActive(session)
      ? endedStatus(session, undefined, { reason: 'Failed', message }, now)
      : rejectedStatus(session, reason, message, now);
    await this.#verdicts.pass(session, status);
  }
}

/** The pod that a Session is to have. */
function podOf({ session, pod }: Start): { namespace: string; name: string } {
  const { namespace = '', name, uid } = session.metadata;
  return { namespace, name: pod?.metadata.name ?? sessionPodName({ name, uid }, attemptOf(session)) };
}

/** The binding of a pod that has waited. It may be of an earlier revision, so its goodbye is what it says. */
function warmBinding(common: Omit<Binding, 'startKind'>, { session, pod }: Start): Binding {
  const grace = pod?.spec?.terminationGracePeriodSeconds ?? common.limits.terminationGracePeriodSeconds;
  // Who opens a WebSocket may come late, and another pod would not make them come sooner.
  const isQuick = pod !== undefined && isReady(pod) && session.spec.transport === undefined;
  return {
    ...common,
    startKind: 'Warm',
    limits: { ...common.limits, terminationGracePeriodSeconds: grace },
    ...(isQuick && { startWindowSeconds: WARM_START_WINDOW_SECONDS }),
  };
}
