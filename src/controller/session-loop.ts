import type { Session, SessionStatus } from '../api/session.ts';
import { labels, sessionRecordFinalizer } from '../api/names.ts';
import { sessions as sessionResource } from '../api/resources.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import type { ReconcileResult } from '../kube/controller.ts';
import { isConflict, isInvalid, isNotFound } from '../kube/errors.ts';
import { removeFinalizerPatch } from '../kube/finalizers.ts';
import type { Pod } from '../kube/objects.ts';
import { pods as podResource, refOf, type ObjectRef } from '../kube/resources.ts';
import { keyOf } from '../kube/store.ts';
import { readBinding, sessionUidOf } from '../pods/binding.ts';
import { kidsOfPod } from '../pods/trusted-keys.ts';
import { hasOurFinalizer } from '../pods/finalizer.ts';
import { sessionId } from '../pods/names.ts';
import { isBeingDeleted, isScheduled, isTerminal, lastFinishedAt, STOP_NOW_SECONDS } from '../pods/pod-facts.ts';
import { isHttp, sessionRecord, supervisorRan } from '../pods/session-record.ts';
import type { ControllerMetrics } from '../telemetry/metrics.ts';
import { usageOf, type Ledger, type Usage } from '../usage/ledger.ts';
import { sessionSeconds } from '../usage/session-seconds.ts';
import type { Announcer } from './announcer.ts';
import { readBody, type BodySource, type Message } from './body.ts';
import { INDEX, type Caches } from './caches.ts';
import type { Deliverer } from './delivery/deliverer.ts';
import type { NodeWatch } from './node-watch.ts';
import { refresh } from './refresh.ts';
import { limitsOf } from './session-deadlines.ts';
import type { SessionView } from './session-ending.ts';
import { sessionStartedAt, usageSince } from './session-facts.ts';
import type { Outcome } from './session-outcome.ts';
import { planSession, vanishedStatus, type SessionPlan } from './session-plan.ts';
import { spentPods } from './session-retry.ts';
import { isFinished } from '../api/session-phase.ts';
import { writeStatus } from './write-status.ts';

/** When a pod that was to be given up is looked at again, because it was being told at that moment. */
const TOLD_AGAIN_MS = 1_000;

/** How often a pod is asked for that the watch does not show. */
const UNWATCHED_POD_MS = 10_000;

/**
 * One pass for one Session, by its uid: a name may be used again while the pod of its former bearer still ends.
 *
 * Each step is safe to do twice, so a crash after any of them costs nothing: the next pass plans from what it finds.
 */
export class SessionLoop {
  readonly #api: KubeApi;
  readonly #caches: Caches;
  readonly #bodies: BodySource;
  readonly #nodes: NodeWatch;
  readonly #deliverer: Deliverer;
  readonly #ledger: Ledger;
  readonly #announcer: Announcer;
  readonly #metrics: ControllerMetrics;
  readonly #clock: Clock;

  constructor(deps: {
    api: KubeApi;
    caches: Caches;
    bodies: BodySource;
    nodes: NodeWatch;
    deliverer: Deliverer;
    ledger: Ledger;
    announcer: Announcer;
    metrics: ControllerMetrics;
    clock: Clock;
  }) {
    this.#api = deps.api;
    this.#caches = deps.caches;
    this.#bodies = deps.bodies;
    this.#nodes = deps.nodes;
    this.#deliverer = deps.deliverer;
    this.#ledger = deps.ledger;
    this.#announcer = deps.announcer;
    this.#metrics = deps.metrics;
    this.#clock = deps.clock;
  }

  async reconcile(uid: string): Promise<ReconcileResult> {
    const session = this.#caches.sessions.byIndex(INDEX.uid, uid)[0];
    if (session === undefined || isFinished(session)) this.#deliverer.forget(uid);
    const { pod: cached, spent, rivals } = podsOf(session, this.#caches.pods.byIndex(INDEX.sessionUid, uid));
    // Until another pod speaks for the Session this one does: it may be deleted before it has got one.
    const spokenFor = cached !== undefined || session === undefined || isFinished(session);
    for (const other of spent) await this.#tolerant(other, () => this.#discard(other, spokenFor));
    const rival = await this.#endRivals(session, rivals);
    // The reply to an earlier release may have been lost.
    if (cached === undefined || !hasOurFinalizer(cached)) this.#ledger.settle(uid);
    let pod = cached;
    let plan = await this.#plan(session, pod, rival);
    if (pod !== undefined && endsSomething(plan, pod)) {
      // The cache may be old: a watch that is dead without saying so shows no start, no end and no node that came back.
      pod = await this.#readAfresh(pod);
      plan = await this.#plan(session, pod, rival);
    }
    if (session !== undefined && plan.confirmPodGone === true) {
      pod = await this.#readBound(session);
      if (pod === undefined) {
        await this.#endVanished(session);
        return {};
      }
      // It is there and the cache does not show it, because somebody took its labels off: nothing but asking tells of it.
      plan = { ...(await this.#plan(session, pod, rival)), requeueAfterMs: UNWATCHED_POD_MS };
    }
    const carriedOut = plan;
    const done = await this.#tolerant(pod, () => this.#carryOut(carriedOut, session, pod));
    const again = done === false ? TOLD_AGAIN_MS : plan.requeueAfterMs;
    return again === undefined ? {} : { requeueAfterMs: again };
  }

  /** A write that misses its pod, because that has changed or is gone: the cache learns of it, and plans again. */
  async #tolerant<T>(pod: Pod | undefined, write: () => Promise<T>): Promise<T | undefined> {
    try {
      return await write();
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error) && !isInvalid(error)) throw error;
      if (pod !== undefined) await refresh(this.#api, podResource, this.#caches.pods, pod, error);
      return undefined;
    }
  }

  async #plan(session: Session | undefined, pod: Pod | undefined, rival: SessionView['rival']): Promise<SessionPlan> {
    const node = await this.#nodes.stateOf(pod?.spec?.nodeName);
    const delivery = session && pod && this.#deliverer.stateOf(session.metadata.uid, pod.metadata.uid);
    return planSession({ session, pod, delivery, rival, node, now: this.#clock.now() });
  }

  /**
   * Other pods of the same try can only come from another controller. They end before anybody is told to begin, and what they then
   * say of themselves decides whether the Session may run at all.
   */
  async #endRivals(session: Session | undefined, rivals: readonly Pod[]): Promise<SessionView['rival']> {
    let found: SessionView['rival'];
    for (const pod of rivals) {
      const mayHaveRun = isHttp(pod) ? mayHaveBegun(pod) : false;
      const noted = session === undefined || isFinished(session) || session.status?.phase === 'Stopping';
      const ends = !isBeingDeleted(pod) || (isScheduled(pod) && pod.metadata.deletionGracePeriodSeconds !== 0);
      if (!isTerminal(pod) && ends) {
        if (!isBeingDeleted(pod)) await this.#deletePod(pod, undefined);
        found ??= 'ending';
      } else if (mayHaveRun && !noted) found = 'mayHaveRun';
      else await this.#discard(pod);
    }
    return found;
  }

  /** The pod as it is at this moment, or undefined when it is gone; its node is read as well. */
  async #readAfresh(pod: Pod): Promise<Pod | undefined> {
    if (pod.spec?.nodeName) await this.#nodes.readAfresh(pod.spec.nodeName);
    const fresh = await this.#read(refOf(pod), pod.metadata.uid);
    if (fresh === undefined) return undefined;
    this.#caches.pods.writeThrough(fresh);
    return this.#caches.pods.get(keyOf(fresh));
  }

  /** The pod that the Session's status names, which the cache does not show. */
  async #readBound({ metadata, status }: Session): Promise<Pod | undefined> {
    // A status that names no pod was not written by us: there is none to be found.
    if (status?.podName === undefined) return undefined;
    return await this.#read({ namespace: metadata.namespace ?? '', name: status.podName }, status.podUID);
  }

  async #read(ref: ObjectRef, uid: string | undefined): Promise<Pod | undefined> {
    try {
      const pod = await this.#api.get(podResource, ref);
      return pod.metadata.uid === uid ? pod : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** @returns false when nothing was done, because the pod that was to be given up is being told at this moment */
  async #carryOut(plan: SessionPlan, session: Session | undefined, pod: Pod | undefined): Promise<boolean> {
    let current = session;
    if (session !== undefined && pod !== undefined) {
      if (plan.giveUp === true && !this.#deliverer.giveUp(session.metadata.uid, pod.metadata.uid)) return false;
      this.#tellSupervisor(plan, session, pod);
    }
    // When the pod cannot be told, that is written down all the same: from then on the time counts until it is forced.
    const told = await Promise.allSettled([pod === undefined ? undefined : this.#endPod(plan, pod)]);
    if (session !== undefined && plan.status !== undefined) current = await this.#write(session, plan.status);
    for (const result of told) if (result.status === 'rejected') throw result.reason;
    if (session !== undefined && current === undefined) return true; // Not recorded, so nothing that relies on the record.
    if (pod !== undefined && plan.releasePod === true) {
      const uid = sessionUidOf(pod) ?? '';
      this.#ledger.open(uid, current === undefined ? orphanUsage(pod, plan.ended?.outcome) : usageOf(current));
      await this.#release(pod);
      this.#ledger.close(uid);
    }
    if (current !== undefined && plan.deleteSession === true) {
      const { uid, finalizers = [] } = current.metadata;
      await this.#api.delete(sessionResource, refOf(current), { uid, propagationPolicy: 'Background' });
      // The watch may be behind: planned for again, it would be deleted again.
      if (finalizers.length === 0) this.#caches.sessions.removeGone(current);
    }
    return true;
  }

  #tellSupervisor({ deliver, askToStop }: SessionPlan, session: Session, pod: Pod): void {
    const host = pod.status?.podIP;
    if (host === undefined) return;
    const { uid, name } = session.metadata;
    const kids = kidsOfPod(pod);
    const to = { podUid: pod.metadata.uid, host, kids };
    if (askToStop === true) void this.#deliverer.stop(uid, to);
    if (deliver === undefined) return;
    const maxSessionSeconds = limitsOf(session, pod).maxSessionDuration;
    this.#deliverer.deliver({
      sessionUid: uid,
      to,
      request: {
        uid,
        sessionId: sessionId({ name, uid }),
        maxSessionSeconds,
        ...(session.spec.transport === 'WebSocket' && { transport: 'websocket' as const }),
      },
      message: async () => orEmptyObject(await readBody(this.#bodies, session)),
      startBy: deliver.startBy,
    });
  }

  async #endPod({ deadlineSeconds, deletePod }: SessionPlan, pod: Pod): Promise<void> {
    if (deadlineSeconds !== undefined) await this.#lowerDeadline(pod, deadlineSeconds);
    if (deletePod !== undefined) await this.#deletePod(pod, deletePod.gracePeriodSeconds);
  }

  async #write(session: Session, status: SessionStatus): Promise<Session | undefined> {
    const written = await writeStatus(this.#api, sessionResource, this.#caches.sessions, session, status);
    if (written === undefined) return undefined;
    const before = session.status?.phase;
    if (status.phase === 'Ended') this.#announcer.finished(written);
    else if (status.phase === 'Running' && before !== 'Running') this.#announcer.started(written);
    else if (status.phase === 'Starting' && status.reason !== session.status?.reason) this.#announcer.waiting(written);
    return written;
  }

  async #lowerDeadline(pod: Pod, seconds: number): Promise<void> {
    const patched = await this.#api.patch(podResource, refOf(pod), {
      type: 'json',
      ops: [
        { op: 'test', path: '/metadata/uid', value: pod.metadata.uid },
        { op: 'add', path: '/spec/activeDeadlineSeconds', value: seconds },
      ],
    });
    this.#caches.pods.writeThrough(patched);
  }

  async #deletePod(pod: Pod, gracePeriodSeconds: number | undefined): Promise<void> {
    const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
    const deleted = await this.#api.delete(podResource, refOf(pod), { uid: pod.metadata.uid, ...grace });
    // While our finalizer is on it the pod lives on, with a deletionTimestamp.
    if (deleted?.metadata.uid === pod.metadata.uid && deleted.metadata.finalizers?.length)
      this.#caches.pods.writeThrough(deleted);
  }

  async #release(pod: Pod): Promise<void> {
    const latest = this.#caches.pods.get(keyOf(pod)) ?? pod;
    const ops = removeFinalizerPatch(latest, sessionRecordFinalizer);
    if (ops.length === 0) return;
    const released = await this.#api.patch(podResource, refOf(pod), { type: 'json', ops });
    // A pod that was being deleted is gone with its last finalizer; the watch will say so.
    this.#caches.pods.writeThrough(released);
    this.#metrics.finalizerReleased();
  }

  /** Its pod is gone although its end was never recorded: somebody took our finalizer off. */
  async #endVanished(session: Session): Promise<void> {
    const ended = await this.#write(session, vanishedStatus(session, this.#clock.now()));
    if (ended !== undefined) this.#ledger.count(usageOf(ended));
  }

  /** A pod that serves nobody. One that has ended is kept for its logs, as long as those of others. */
  async #discard(pod: Pod, release = true): Promise<void> {
    if (!isTerminal(pod) && !isBeingDeleted(pod)) await this.#deletePod(pod, undefined);
    if (!release || !hasOurFinalizer(pod)) return;
    await this.#release(pod);
    this.#metrics.orphanRemoved('Pod');
  }
}

/** Whether a plan ends a pod that may still run, or a Session whose pod has not ended. */
function endsSomething(plan: SessionPlan, pod: Pod): boolean {
  if (isTerminal(pod)) return false;
  return plan.deletePod !== undefined || plan.deadlineSeconds === STOP_NOW_SECONDS || plan.ended !== undefined;
}

/** The usage of a pod whose Session was deleted before its end. */
function orphanUsage(pod: Pod, outcome: Outcome | undefined): Usage {
  const since = usageSince(pod, sessionStartedAt(undefined, pod));
  return {
    namespace: pod.metadata.namespace ?? '',
    agent: pod.metadata.labels?.[labels.agent] ?? '',
    outcome: outcome?.reason ?? 'Stopped',
    start: readBinding(pod)?.startKind ?? 'Cold',
    seconds: sessionSeconds(since, lastFinishedAt(pod)),
  };
}

/** Pipecat's contract: an agent that is told nothing is told `{}`. */
function orEmptyObject({ headers, bytes }: Message): Message {
  return { headers, bytes: bytes.length === 0 ? Buffer.from('{}') : bytes };
}

/** The pods of a Session: its own, those of earlier tries, and others of the same try, which there should not be. */
function podsOf(
  session: Session | undefined,
  pods: readonly Pod[],
): { pod: Pod | undefined; spent: Pod[]; rivals: Pod[] } {
  const spent = spentPods(session, pods);
  const current = pods.filter((pod) => !spent.includes(pod)).sort(byCreation);
  const pod = current.find(({ metadata }) => metadata.uid === session?.status?.podUID) ?? current[0];
  return { pod, spent, rivals: current.filter((other) => other !== pod) };
}

/** Whether the agent of a pod that has ended may have been told of the session. */
function mayHaveBegun(pod: Pod): boolean {
  return sessionRecord(pod)?.delivered ?? supervisorRan(pod);
}

function byCreation(a: Pod, b: Pod): number {
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1;
}
