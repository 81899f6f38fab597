import type { AgentSpec } from '../api/agent.ts';
import { parseSessionSpec } from '../api/parse.ts';
import type { RejectReason } from '../api/reasons.ts';
import type { Session, SessionLimitsInForce, SessionStatus } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { inClaimOrder, isClaimable, isTroubled, type WarmPod } from './pool/warm-pods.ts';
import type { Outcome } from './session-outcome.ts';
import { isActive } from '../api/session-phase.ts';
import { endedStatus, queuedStatus, rejectedStatus } from './session-status.ts';

/**
 * The life of the Sessions of one Agent before they have a pod: rejected, queued, or admitted, in the order in which
 * they were asked for. What happens once there is a pod is `session-plan.ts`.
 *
 * The cap: nothing is admitted while `maxAgents` sessions are active, and no pod is created while `maxAgents` pods are
 * live. Both are counted by the Agent's name, so that an Agent that was deleted and made again knows its old sessions.
 */
export interface AgentView {
  agent: AgentState;
  /** Sessions of this Agent's name that are not finished. */
  sessions: readonly Session[];
  /** Pods of this Agent's name that are live, and pods whose creation is under way or whose result is not known. */
  livePods: readonly LivePod[];
  /** Live pods that wait for a Session, and whose claim is not under way. */
  idle: readonly WarmPod[];
  /** How many sessions of the Agent each node has; asked only where somebody is given a pod. */
  sessionsOn: () => ReadonlyMap<string, number>;
  /** Sessions that have a pod, live or ended, or may have one: what becomes of them is not decided here. */
  bound: ReadonlySet<string>;
  /** Sessions whose verdict is on its way. */
  judged: ReadonlySet<string>;
  /** Failed creations: not tried again before this time (Unix milliseconds), by the Session's uid. */
  retryAt: ReadonlyMap<string, number>;
  /** Whether it is time to tell Sessions near the head of the queue that they have moved. */
  tellPositions: boolean;
  /** Unix milliseconds, by the controller's clock. */
  now: number;
}

/** What is known of the Agent. `missing` is confirmed by a fresh read: a cache may not know yet of a new Agent. */
export type AgentState =
  | { state: 'missing' }
  | { state: 'refusing'; reason: RejectReason; message: string }
  /** `refusal`: Kubernetes refuses new pods of it, for this reason; those that wait can be had. */
  | { state: 'serving'; spec: AgentSpec; refusal?: string };

/** A pod that holds a place, and the uid of its Session if it serves one. */
export interface LivePod {
  name: string;
  sessionUid: string | undefined;
}

export interface AgentPlan {
  /** Claim or create a pod for these, in this order. */
  start: Start[];
  /** Statuses to write: rejections, places in the queue, ends of Sessions that never got a pod. */
  statuses: { session: Session; status: SessionStatus; outcome: 'Rejected' | 'Queued' | 'Ended' }[];
  active: number;
  /** With those that this plan admits. */
  activeSoon: number;
  queued: number;
  /** Sessions that would start if there were a place or a pod for them. */
  waiting: number;
  /** A Session was told that it has moved in the queue. */
  toldPositions: boolean;
  /** A Session near the head has moved and is to be told later. */
  positionsWaiting: boolean;
  requeueAfterMs?: number;
}

export interface Start {
  session: Session;
  /** When it was admitted, as an RFC 3339 time in milliseconds: an earlier try that Kubernetes refused counts. */
  admittedAt: string;
  limits: SessionLimitsInForce;
  /** The waiting pod that it is to have; without one, a pod is made. */
  pod?: Pod;
}

/** Places in the queue are told at most this often, and only to so many at its head: a long queue must not cost a write per place and move. */
export const QUEUE_POSITIONS_TOLD = 20;

export function planAgent(view: AgentView): AgentPlan {
  const { now } = view;
  const holders = new Set(view.livePods.map((pod) => pod.sessionUid).filter((uid) => uid !== undefined));
  const unbound = view.sessions.filter(
    ({ status, metadata: { uid } }) => status?.podUID === undefined && !view.bound.has(uid) && !view.judged.has(uid),
  );
  // One whose pod has ended has its place until that is written down: it may get another pod.
  for (const session of view.sessions)
    if (isActive(session) || view.bound.has(session.metadata.uid)) holders.add(session.metadata.uid);
  const plan: AgentPlan = {
    start: [],
    statuses: [],
    active: holders.size,
    activeSoon: holders.size,
    queued: 0,
    waiting: 0,
    toldPositions: false,
    positionsWaiting: false,
  };
  const places = new Places(view, holders.size, unbound.length);

  for (const session of inOrder(unbound)) {
    const decision = isActive(session)
      ? decideAdmitted(session, view, places)
      : decidePending(session, view, places, plan.queued + 1);
    switch (decision.kind) {
      case 'start': {
        const pod = places.take(session);
        plan.start.push({
          session,
          admittedAt: session.status?.admittedAt ?? new Date(now).toISOString(),
          limits: decision.limits,
          ...(pod && { pod }),
        });
        break;
      }
      case 'reject':
        plan.statuses.push({
          session,
          status: rejectedStatus(session, decision.reason, decision.message, now),
          outcome: 'Rejected',
        });
        break;
      case 'end':
        plan.statuses.push({
          session,
          status: endedStatus(session, undefined, decision.outcome, now),
          outcome: 'Ended',
        });
        plan.active -= 1;
        break;
      case 'queue':
        plan.queued += 1;
        plan.waiting += 1;
        tell(plan, view, session, decision.message);
        wakeAfter(plan, decision.untilMs - now);
        break;
      case 'wait':
        plan.waiting += 1;
        if (decision.untilMs !== undefined) wakeAfter(plan, decision.untilMs - now);
        break;
    }
  }
  plan.activeSoon = places.active;
  return plan;
}

/** The waiting pods that Sessions may get. Pods of an Agent that was of protocol Http may still be there. */
function claimableOf({ agent, idle }: AgentView): WarmPod[] {
  return agent.state === 'serving' && agent.spec.protocol === 'Http' ? idle.filter(isClaimable) : [];
}

type Decision =
  | { kind: 'start'; limits: SessionLimitsInForce }
  | { kind: 'reject'; reason: RejectReason; message: string }
  | { kind: 'end'; outcome: Outcome }
  | { kind: 'queue'; message: string; untilMs: number }
  | { kind: 'wait'; untilMs?: number };

function decidePending(session: Session, { agent, now }: AgentView, places: Places, position: number): Decision {
  const name = session.spec.agent;
  const startBefore = Date.parse(session.spec.startBefore ?? '');
  if (session.metadata.deletionTimestamp !== undefined) return { kind: 'wait' };
  // A spec does not change, so one that is queued has been checked: a long queue is not read again at every move.
  const parsed = session.status?.queuedAt === undefined ? parseSessionSpec(session.spec) : undefined;
  if (parsed?.ok === false) return reject('SessionInvalid', parsed.message);
  if (session.spec.stop === true) return reject('StoppedBeforeStart', 'spec.stop was set before it was admitted');
  if (startBefore <= now)
    return reject('StartBeforePassed', `it was to start before ${session.spec.startBefore ?? ''}`);
  switch (agent.state) {
    case 'missing':
      return reject(
        'AgentNotFound',
        `there is no Agent ${name} in this namespace; apply it first, then make a new Session`,
      );
    case 'refusing':
      return reject(agent.reason, agent.message);
    case 'serving':
      break;
  }
  const { spec } = agent;
  if (spec.paused) return reject('AgentPaused', `Agent ${name} is paused; set its spec.paused to false`);
  // A place in the queue is served before those behind it, also when it is the newcomer that could start at once.
  if (places.free() && position === 1) return { kind: 'start', limits: limitsFor(session, spec) };
  if (agent.refusal !== undefined && position === 1) return reject('AgentInvalid', agent.refusal);
  const patience = Date.parse(session.metadata.creationTimestamp) + spec.startTimeoutSeconds * 1000;
  if (spec.whenFull === 'Reject' && now < patience && places.waitForPod())
    return { kind: 'wait', untilMs: Math.min(patience, startBefore || Infinity) };
  if (spec.whenFull === 'Reject') return reject('AtCapacity', `Agent ${name} has no free place: ${places.explain()}`);
  const queuedAt = Date.parse(session.status?.queuedAt ?? '') || now;
  const timeoutAt = queuedAt + spec.queueTimeoutSeconds * 1000;
  if (timeoutAt <= now)
    return reject('QueueTimeout', `no place became free within ${spec.queueTimeoutSeconds} s: ${places.explain()}`);
  return {
    kind: 'queue',
    message: `waiting for a free place: ${places.explain()}`,
    untilMs: Math.min(timeoutAt, startBefore || Infinity),
  };
}

/** Admitted in an earlier pass, but Kubernetes refused its pod: try again until the start timeout. It needs nothing from its Agent but the template. */
function decideAdmitted(session: Session, { agent, now, retryAt }: AgentView, places: Places): Decision {
  const { status } = session;
  const limits = status?.limits;
  const admittedAt = Date.parse(status?.admittedAt ?? '');
  const because = status?.message === undefined ? '' : `: ${status.message}`;
  if (session.metadata.deletionTimestamp !== undefined) return { kind: 'wait' };
  if (session.spec.stop === true) return end('Stopped', 'spec.stop was set');
  if (limits === undefined || Number.isNaN(admittedAt)) return end('Lost', 'the record of its admission is incomplete');
  const startBefore = Date.parse(session.spec.startBefore ?? '') || Infinity;
  const deadline = Math.min(admittedAt + limits.startTimeoutSeconds * 1000, startBefore);
  if (deadline <= now) return end('StartTimeout', `it did not start within ${limits.startTimeoutSeconds} s${because}`);
  if (agent.state !== 'serving') return end('Lost', `its Agent can no longer make its pod${because}`);
  const next = retryAt.get(session.metadata.uid) ?? 0;
  if (next > now) return { kind: 'wait', untilMs: Math.min(next, deadline) };
  if (places.podToHave()) return { kind: 'start', limits };
  if (agent.refusal !== undefined) return end('Lost', `its Agent can no longer make its pod${because}`);
  return { kind: 'wait', untilMs: deadline };
}

/** The places of an Agent while a plan is made: both limits of the cap, and the pods that wait. */
class Places {
  readonly #max: number;
  readonly #sessions: Set<string>;
  /** The best last. */
  readonly #claimable: WarmPod[];
  /** Waiting pods that may never be ready: better than none. */
  readonly #lastResort: WarmPod[];
  readonly #mayCreate: boolean;
  readonly #leaving: number;
  #promised = 0;
  #active: number;
  #pods: number;

  /** @param atMost how many may be taken */
  constructor(view: AgentView, active: number, atMost: number) {
    this.#max = view.agent.state === 'serving' ? view.agent.spec.scaling.maxAgents : 0;
    this.#sessions = new Set(view.sessions.filter(isActive).map((session) => session.metadata.uid));
    const claimable = claimableOf(view);
    const patience = view.agent.state === 'serving' ? view.agent.spec.startTimeoutSeconds : 0;
    const troubled = (pod: WarmPod): boolean => isTroubled(pod, patience, view.now);
    const wanted = atMost === 0 ? [] : claimable;
    const sessionsOn = wanted.length === 0 ? new Map<string, number>() : view.sessionsOn();
    const best = (pods: WarmPod[]): WarmPod[] => inClaimOrder(pods, sessionsOn, atMost).reverse();
    this.#claimable = best(wanted.filter((pod) => !troubled(pod)));
    this.#lastResort = best(wanted.filter(troubled));
    const waiting = view.livePods.filter(({ sessionUid }) => sessionUid === undefined).length;
    const silent = view.idle.filter((pod) => pod.silent).length;
    this.#leaving = Math.max(0, waiting - claimable.length - silent);
    this.#mayCreate = view.agent.state === 'serving' && view.agent.refusal === undefined;
    this.#active = active;
    this.#pods = view.livePods.length;
  }

  get active(): number {
    return this.#active;
  }

  free(): boolean {
    return this.#active < this.#max && this.podToHave();
  }

  /** Whether there is a pod that waits, or room for one more. */
  podToHave(): boolean {
    return this.#claimable.length > 0 || this.#roomForOne() || this.#lastResort.length > 0;
  }

  /** Whether a session may run, and only waits for a pod that has no session and is of no use yet, or not any more; takes that place. */
  waitForPod(): boolean {
    if (this.#active + this.#promised >= this.#max || this.#promised >= this.#leaving) return false;
    this.#promised += 1;
    return true;
  }

  /** Takes a place, and the best of the pods that wait, if there is one. */
  take(session: Session): Pod | undefined {
    if (!this.#sessions.has(session.metadata.uid)) this.#active += 1;
    const warm = this.#claimable.pop() ?? (this.#roomForOne() ? undefined : this.#lastResort.pop());
    if (warm === undefined) this.#pods += 1;
    return warm?.pod;
  }

  #roomForOne(): boolean {
    return this.#mayCreate && this.#pods < this.#max;
  }

  explain(): string {
    return `${this.#active} of ${this.#max} sessions are active${this.#pods > this.#active ? `, ${this.#pods} pods have not ended` : ''}`;
  }
}

/** Order of arrival: by creation, which is a whole second, then by name. */
function inOrder(sessions: readonly Session[]): Session[] {
  return [...sessions].sort(
    (a, b) =>
      compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) || compare(a.metadata.name, b.metadata.name),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The limits of a Session: its own may only shorten what the Agent allows. */
function limitsFor(session: Session, spec: AgentSpec): SessionLimitsInForce {
  return {
    maxSessionDuration: Math.min(session.spec.maxSessionDuration ?? Infinity, spec.maxSessionDuration),
    startTimeoutSeconds: spec.startTimeoutSeconds,
    nodeLostAfterSeconds: spec.nodeLostAfterSeconds,
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
  };
}

/** A newly queued Session is told its place at once; one that moved, only near the head of the queue and now and then. */
function tell(plan: AgentPlan, { now, tellPositions }: AgentView, session: Session, message: string): void {
  const { status } = session;
  const position = plan.queued;
  const isNew = status?.queuedAt === undefined;
  const moved = position <= QUEUE_POSITIONS_TOLD && status?.queuePosition !== position;
  if (isNew || (moved && tellPositions)) {
    plan.statuses.push({ session, status: queuedStatus(session, position, message, now), outcome: 'Queued' });
    if (!isNew) plan.toldPositions = true;
  } else if (moved) {
    plan.positionsWaiting = true;
  }
}

function reject(reason: RejectReason, message: string): Decision {
  return { kind: 'reject', reason, message };
}

function end(reason: Outcome['reason'], message: string): Decision {
  return { kind: 'end', outcome: { reason, message } };
}

function wakeAfter(plan: AgentPlan, ms: number): void {
  plan.requeueAfterMs = Math.max(1, Math.min(plan.requeueAfterMs ?? Infinity, ms));
}
