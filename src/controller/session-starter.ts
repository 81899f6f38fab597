import type { Agent } from '../api/agent.ts';
import type { RejectReason, WaitReason } from '../api/reasons.ts';
import { sessions as sessionResource } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isAlreadyExists, isInvalid, isNotFound, isOutcomeUnknown, KubeError } from '../kube/errors.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import { pods as podResource } from '../kube/resources.ts';
import { readBinding, type Binding } from '../pods/binding.ts';
import { claimPatch, WARM_START_WINDOW_SECONDS } from '../pods/claim.ts';
import { sessionPodName } from '../pods/names.ts';
import { isReady } from '../pods/pod-facts.ts';
import type { Body } from '../pods/process-pod.ts';
import type { Start } from './agent-plan.ts';
import type { Serving } from './agent-state.ts';
import type { Announcer } from './announcer.ts';
import { findBody } from './body.ts';
import { type Caches } from './caches.ts';
import type { Deliverer } from './delivery/deliverer.ts';
import type { PendingPods } from './pending-pods.ts';
import { creationBackoffMs, creationFailure } from './pod-creation.ts';
import type { PodFactory } from './pod-factory.ts';
import { refresh } from './refresh.ts';
import { attemptOf } from './session-retry.ts';
import { endedStatus, isActive, rejectedStatus, waitingForPodStatus } from './session-status.ts';
import type { Verdicts } from './verdicts.ts';
import { writeStatus } from './write-status.ts';

/** How long Sessions of an Agent are refused because Kubernetes called its template invalid; then one try decides again. */
const PROBE_AFTER_MS = 30_000;

/**
 * Gives a Session its pod: by one claim of a pod that waits, or by one create, under a name that follows from the Session's uid, so
 * that doing it twice makes one pod. The pod is the record of the admission; the Session's status follows from it
 * (`session-loop.ts`).
 */
export class SessionStarter {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #pending: PendingPods;
  readonly #verdicts: Verdicts;
  readonly #announcer: Announcer;
  readonly #factory: PodFactory;
  readonly #deliverer: Deliverer;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Pods that Kubernetes refused, by the Session's uid: when to try again. */
  readonly #failures = new Map<string, { agentKey: string; count: number; retryAt: number }>();
  /** Templates that Kubernetes called invalid, by Agent. */
  readonly #refusals = new Map<string, { revision: string; message: string; at: number }>();

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    pending: PendingPods;
    verdicts: Verdicts;
    announcer: Announcer;
    factory: PodFactory;
    deliverer: Deliverer;
    clock: Clock;
    random: () => number;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#verdicts = deps.verdicts;
    this.#announcer = deps.announcer;
    this.#factory = deps.factory;
    this.#deliverer = deps.deliverer;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** What Kubernetes said of the template of this Agent's current pods, if it refused it. */
  refusalOf(agentKey: string): { revision: string; message: string } | undefined {
    return this.#refusals.get(agentKey);
  }

  /** Kubernetes called the template of this revision invalid. */
  refused(agentKey: string, revision: string, message: string): void {
    this.#refusals.set(agentKey, { revision, message, at: this.#clock.monotonic() });
  }

  /** Kubernetes has taken a pod of it. */
  accepted(agentKey: string): void {
    this.#refusals.delete(agentKey);
  }

  /** Whether a refused template may be tried again: what made Kubernetes refuse it may have changed. */
  mayProbe(agentKey: string): boolean {
    const refusal = this.#refusals.get(agentKey);
    return refusal !== undefined && this.#clock.monotonic() - refusal.at >= PROBE_AFTER_MS;
  }

  /** The Agent is gone. */
  forget(agentKey: string): void {
    this.#refusals.delete(agentKey);
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

  /** Gives a Session its pod: a waiting one, when the plan says so, else one that is made for it. */
  async start(agentKey: string, agent: Agent, verdict: Serving, start: Start): Promise<void> {
    const { session, admittedAt, limits } = start;
    const { uid, name } = session.metadata;
    const body = await this.#findBody(agentKey, start);
    if (body === undefined) return;
    const binding = { agent: agent.metadata.name, session: { name, uid }, admittedAt, attempt: attemptOf(session) };
    if (start.pod === undefined) {
      await this.#make(agentKey, agent, verdict, start, { ...binding, startKind: 'Cold', limits }, body);
    } else {
      await this.#claim(agentKey, verdict, start, start.pod, { ...binding, startKind: 'Warm', limits });
    }
  }

  async #make(
    agentKey: string,
    agent: Agent,
    verdict: Serving,
    start: Start,
    binding: Binding,
    body: Body,
  ): Promise<void> {
    const { uid, namespace = '' } = start.session.metadata;
    const pod = this.#factory.forSession(agent, verdict, binding, body);
    const ref = { namespace, name: sessionPodName(binding.session, binding.attempt) };
    this.#pending.sent({ agentKey, sessionUid: uid, ...ref });
    try {
      this.#bound(uid, await this.#create(pod, binding));
    } catch (error) {
      if (!isOutcomeUnknown(error)) this.#pending.settled(ref);
      else this.#pending.unknown(ref);
      await this.#failed(error, agentKey, verdict, start);
      return;
    }
    this.#pending.settled(ref);
    this.#failures.delete(uid);
    this.accepted(agentKey);
  }

  /** One compare-and-swap. When the pod is not what it was, the cache is brought up to date, and that plans again. */
  async #claim(agentKey: string, verdict: Serving, start: Start, pod: Pod, unbound: Binding): Promise<void> {
    const { uid } = start.session.metadata;
    const { namespace = '', name } = pod.metadata;
    const grace = pod.spec?.terminationGracePeriodSeconds ?? unbound.limits.terminationGracePeriodSeconds;
    const binding: Binding = {
      ...unbound,
      // It may be of an earlier revision.
      limits: { ...unbound.limits, terminationGracePeriodSeconds: grace },
      ...(isReady(pod) && { startWindowSeconds: WARM_START_WINDOW_SECONDS }),
    };
    const ref = { namespace, name };
    this.#pending.sent({ agentKey, sessionUid: uid, ...ref });
    try {
      const ops = claimPatch(pod, binding, this.#clock.now());
      this.#bound(uid, await this.#api.patch(podResource, ref, { type: 'json', ops }));
      this.#pending.settled(ref);
      this.#failures.delete(uid);
    } catch (error) {
      if (isOutcomeUnknown(error)) {
        this.#pending.unknown(ref);
        if (!(await this.#hasTaken(ref, pod, uid))) throw error;
        this.#pending.settled(ref);
        return;
      }
      this.#pending.settled(ref);
      await this.#lost(error, pod).catch((refusal: unknown) => this.#failed(refusal, agentKey, verdict, start));
    }
  }

  /** Somebody else has changed the pod. Rejects when it is what it was: then Kubernetes refuses the claim itself. */
  async #lost(error: unknown, pod: Pod): Promise<void> {
    if (!isInvalid(error) && !isNotFound(error)) throw error;
    await refresh(this.#api, podResource, this.#caches.pods, pod, error);
  }

  /** Whether a claim whose reply was lost has been carried out. If not, it still may be. */
  async #hasTaken(ref: { namespace: string; name: string }, pod: Pod, sessionUid: string): Promise<boolean> {
    try {
      const fresh = await this.#api.get(podResource, ref);
      if (fresh.metadata.uid !== pod.metadata.uid || readBinding(fresh)?.session.uid !== sessionUid) return false;
      this.#bound(sessionUid, fresh);
      return true;
    } catch {
      return false; // It is read again when the request can no longer be carried out.
    }
  }

  #bound(sessionUid: string, pod: Pod): void {
    this.#deliverer.bound(sessionUid, pod.metadata.uid);
    this.#caches.pods.writeThrough(pod);
  }

  /** The body of a Session, or undefined when there is none to be had: the Session has been told then. */
  async #findBody(agentKey: string, start: Start): Promise<Body | undefined> {
    try {
      const found = await findBody(this.#api, start.session);
      if (found.ok) return found.body;
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

  /** Creates the pod, or finds the one that an earlier request with a lost reply has created. */
  async #create(pod: NewObject<Pod>, binding: Binding): Promise<Pod> {
    const { namespace = '', name = '' } = pod.metadata;
    try {
      return await this.#api.create(podResource, namespace, pod);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const existing = await this.#api.get(podResource, { namespace, name });
      if (readBinding(existing)?.session.uid === binding.session.uid) return existing;
      throw error;
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
