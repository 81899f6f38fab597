import type { Agent } from '../api/agent.ts';
import type { RejectReason, WaitReason } from '../api/reasons.ts';
import { sessions as sessionResource } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isAlreadyExists, isOutcomeUnknown, KubeError } from '../kube/errors.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import { pods as podResource } from '../kube/resources.ts';
import { readBinding, type Binding } from '../pods/binding.ts';
import { sessionPodName } from '../pods/names.ts';
import type { SessionPodPolicy } from '../pods/policy.ts';
import { buildProcessPod, type Body } from '../pods/process-pod.ts';
import type { Start } from './agent-plan.ts';
import type { AgentVerdict } from './agent-state.ts';
import type { Announcer } from './announcer.ts';
import { findBody } from './body.ts';
import { type Caches } from './caches.ts';
import type { PendingPods } from './pending-pods.ts';
import { creationBackoffMs, creationFailure } from './pod-creation.ts';
import { endedStatus, isActive, rejectedStatus, waitingForPodStatus } from './session-status.ts';
import type { Verdicts } from './verdicts.ts';
import { writeStatus } from './write-status.ts';

/** How long Sessions of an Agent are refused because Kubernetes called its template invalid; then one try decides again. */
const PROBE_AFTER_MS = 30_000;

type Serving = Extract<AgentVerdict, { ok: true }>;

/**
 * Gives a Session its pod: one create, under a name that follows from the Session's uid, so that doing it twice makes
 * one pod. The pod is the record of the admission; the Session's status follows from it (`session-loop.ts`).
 */
export class SessionStarter {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #pending: PendingPods;
  readonly #verdicts: Verdicts;
  readonly #announcer: Announcer;
  readonly #policy: SessionPodPolicy;
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
    policy: SessionPodPolicy;
    clock: Clock;
    random: () => number;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#verdicts = deps.verdicts;
    this.#announcer = deps.announcer;
    this.#policy = deps.policy;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** What Kubernetes said of the template of this Agent's current pods, if it refused it. */
  refusalOf(agentKey: string): { revision: string; message: string } | undefined {
    return this.#refusals.get(agentKey);
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

  async start(agentKey: string, agent: Agent, verdict: Serving, start: Start): Promise<void> {
    const { session, admittedAt, limits } = start;
    const { uid, name, namespace = '' } = session.metadata;
    const binding: Binding = { agent: agent.metadata.name, session: { name, uid }, admittedAt, attempt: 0, limits };
    const found = await this.#findBody(agentKey, start);
    if (found === undefined) return;
    const pod = buildProcessPod({
      namespace,
      agent: { name: agent.metadata.name, spec: verdict.spec, revision: verdict.revision },
      template: verdict.template,
      binding,
      body: found,
      policy: this.#policy,
    });
    const ref = { namespace, name: sessionPodName(binding.session, binding.attempt) };
    this.#pending.sent({ agentKey, sessionUid: uid, ...ref });
    try {
      this.#caches.pods.writeThrough(await this.#create(pod, binding));
    } catch (error) {
      if (!isOutcomeUnknown(error)) this.#pending.settled(ref);
      else this.#pending.unknown(ref);
      await this.#failed(error, agentKey, verdict, start);
      return;
    }
    this.#pending.settled(ref);
    this.#failures.delete(uid);
    this.#refusals.delete(agentKey);
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
        this.#refusals.set(agentKey, {
          revision: verdict.revision,
          message: failure.message,
          at: this.#clock.monotonic(),
        });
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
