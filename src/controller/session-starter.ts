import type { Agent } from '../api/agent.ts';
import type { Session, SessionStatus } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isAlreadyExists, isOutcomeUnknown, KubeError } from '../kube/errors.ts';
import type { Pod } from '../kube/objects.ts';
import { pods as podResource } from '../kube/resources.ts';
import { readBinding, type Binding } from '../pods/binding.ts';
import { sessionPodName } from '../pods/names.ts';
import type { SessionPodPolicy } from '../pods/policy.ts';
import { buildProcessPod } from '../pods/process-pod.ts';
import type { Start } from './agent-plan.ts';
import type { AgentVerdict } from './agent-state.ts';
import type { Announcer } from './announcer.ts';
import { findBody } from './body.ts';
import { sessions as sessionResource } from '../api/resources.ts';
import { type Caches } from './caches.ts';
import type { PendingPods } from './pending-pods.ts';
import { creationBackoffMs, creationFailure } from './pod-creation.ts';
import { endedStatus, isActive, rejectedStatus, waitingForPodStatus } from './session-status.ts';
import { writeStatus } from './write-status.ts';

type Serving = Extract<AgentVerdict, { ok: true }>;

/**
 * Gives a Session its pod: one create, under a name that follows from the Session's uid, so that doing it twice makes
 * one pod. The pod is the record of the admission; the Session's status follows from it (`session-loop.ts`).
 */
export class SessionStarter {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #pending: PendingPods;
  readonly #announcer: Announcer;
  readonly #policy: SessionPodPolicy;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Pods that Kubernetes refused, by the Session's uid: when to try again. */
  readonly #failures = new Map<string, { agentKey: string; count: number; retryAt: number }>();
  /** Templates that Kubernetes calls invalid, by Agent: nothing is tried again until the Agent changes. */
  readonly #refusals = new Map<string, { revision: string; message: string }>();

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    pending: PendingPods;
    announcer: Announcer;
    policy: SessionPodPolicy;
    clock: Clock;
    random: () => number;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#pending = deps.pending;
    this.#announcer = deps.announcer;
    this.#policy = deps.policy;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** What Kubernetes said of the template of this Agent's current pods, if it refused it. */
  refusalOf(agentKey: string): { revision: string; message: string } | undefined {
    return this.#refusals.get(agentKey);
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

  async start(agentKey: string, agent: Agent, verdict: Serving, { session, admittedAt, limits }: Start): Promise<void> {
    const { uid, name, namespace = '' } = session.metadata;
    const binding: Binding = { agent: agent.metadata.name, session: { name, uid }, admittedAt, attempt: 0, limits };
    const podName = sessionPodName(binding.session, binding.attempt);
    const found = await findBody(this.#api, session);
    if (!found.ok) {
      await this.#refuse(session, rejectedStatus(session, found.reason, found.message, this.#clock.now()));
      return;
    }
    this.#pending.sent({ agentKey, namespace, name: podName, sessionUid: uid });
    let pod: Pod;
    try {
      pod = await this.#create(
        buildProcessPod({
          namespace,
          agent: { name: agent.metadata.name, spec: verdict.spec, revision: verdict.revision },
          template: verdict.template,
          binding,
          body: found.body,
          policy: this.#policy,
        }),
        binding,
      );
    } catch (error) {
      await this.#failed(error, agentKey, verdict, session, podName, { admittedAt, limits });
      return;
    }
    this.#caches.pods.writeThrough(pod);
    this.#pending.settled({ namespace, name: podName });
    this.#failures.delete(uid);
  }

  /** Creates the pod, or finds the one that an earlier request with a lost reply has created. */
  async #create(pod: ReturnType<typeof buildProcessPod>, binding: Binding): Promise<Pod> {
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

  async #failed(
    error: unknown,
    agentKey: string,
    verdict: Serving,
    session: Session,
    podName: string,
    admission: Pick<Start, 'admittedAt' | 'limits'>,
  ): Promise<void> {
    const { uid, namespace = '' } = session.metadata;
    if (isOutcomeUnknown(error)) {
      this.#pending.unknown({ namespace, name: podName });
      throw error;
    }
    this.#pending.settled({ namespace, name: podName });
    if (!(error instanceof KubeError) || error.code === 0) throw error;
    const failure = creationFailure(error);
    if (failure.kind === 'invalid') {
      this.#refusals.set(agentKey, { revision: verdict.revision, message: failure.message });
      await this.#refuse(session, rejectedStatus(session, 'AgentInvalid', failure.message, this.#clock.now()));
      return;
    }
    const count = (this.#failures.get(uid)?.count ?? 0) + 1;
    this.#failures.set(uid, { agentKey, count, retryAt: this.#clock.now() + creationBackoffMs(count, this.#random) });
    // The first wording stays, so that a Session that waits does not cost a write per try.
    if (session.status?.reason === failure.reason) return;
    const status = waitingForPodStatus(session, admission, failure, this.#clock.now());
    await writeStatus(this.#api, sessionResource, this.#caches.sessions, session, status);
  }

  /** A Session that was already admitted in an earlier pass ends; one that was not is rejected. */
  async #refuse(session: Session, rejected: SessionStatus): Promise<void> {
    const status = isActive(session)
      ? endedStatus(session, undefined, { reason: 'Failed', message: rejected.message ?? '' }, this.#clock.now())
      : rejected;
    const written = await writeStatus(this.#api, sessionResource, this.#caches.sessions, session, status);
    if (written !== undefined) this.#announcer.finished(written);
  }
}
