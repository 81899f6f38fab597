import type { Agent } from '../../api/agent.ts';
import { parseAgentSpec } from '../../api/parse.ts';
import { annotations, labels, startedByGateway } from '../../api/names.ts';
import type { RejectReason } from '../../api/reasons.ts';
import { sessions as sessionResource } from '../../api/resources.ts';
import type { Session } from '../../api/session.ts';
import { isActive } from '../../api/session-phase.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isAlreadyExists, isOutcomeUnknown } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import type { NewObject } from '../../kube/objects.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import { Problem } from '../problems.ts';
import { INDEX } from '../caches.ts';
import type { BodyCarrier, Told } from './body-carrier.ts';
import { WINDOW_MS, type Retry } from './idempotency.ts';
import { deadlineOf } from './deadline.ts';
import type { SessionChanges } from './session-changes.ts';
import type { SessionWriter } from './session-writer.ts';
import { earlierAnswer, startVerdict } from './start-verdict.ts';

/** When a caller may try again who found the Agent full: sessions end all the time, and nobody can say when. */
const RETRY_AFTER_SECONDS = 5;

/** How many Sessions one Idempotency-Key may have had that are still there: one in each of its windows. */
const MAX_NAMES = 32;

export interface StartOrder {
  agent: Agent;
  /** Name of the Session where it is no retry, and what callers know it by: a UUID. */
  name: string;
  /** Throws where the Agent takes no sessions now; one that there is already is answered all the same. */
  checkReady: () => void;
  /** What the agent is told; asked for once it is clear that the Session of this name is made. */
  tell: (session: string) => Promise<Told>;
  /** Undoes what was done for that: the start was refused. */
  undo?: (() => Promise<void>) | undefined;
  /** When whoever asked no longer waits; Unix milliseconds. */
  until: number;
  /** The caller has gone, or the process ends. */
  signal: AbortSignal;
  /** When the same request may come again. */
  retry?: Retry | undefined;
}

export interface Started {
  sessionId: string;
  start: 'warm' | 'cold';
  expiresAt: string;
}

/**
 * Starts Sessions as anybody may: it makes the object and waits for what the controller decides. A start that is refused leaves no object
 * behind.
 */
export class SessionStarter {
  readonly #api: KubeApi;
  readonly #sessions: Store<Session>;
  readonly #changes: SessionChanges;
  readonly #carrier: BodyCarrier;
  readonly #writer: SessionWriter;
  readonly #clock: Clock;
  readonly #ending: AbortSignal;
  /** Names of the Sessions that are being made, by Agent. */
  readonly #making = new Map<string, Set<string>>();
  /** Sessions that are being made and may be asked for again meanwhile, by `namespace/name`. */
  readonly #retried = new Map<string, Promise<Session>>();
  /** An object never changes; to parse it for every start would cost more than the rest. */
  readonly #capacity = new WeakMap<Agent, number>();

  constructor(deps: {
    api: KubeApi;
    sessions: Store<Session>;
    changes: SessionChanges;
    carrier: BodyCarrier;
    writer: SessionWriter;
    clock: Clock;
    /** Aborted when the process ends. */
    ending: AbortSignal;
  }) {
    this.#api = deps.api;
    this.#sessions = deps.sessions;
    this.#changes = deps.changes;
    this.#carrier = deps.carrier;
    this.#writer = deps.writer;
    this.#clock = deps.clock;
    this.#ending = deps.ending;
  }

  /**
   * Refuses at once where the cache already shows that the Agent is full: Sessions that were asked for earlier and wait come first.
   *
   * @throws Problem AtCapacity
   */
  checkCapacity(agent: Agent): void {
    const key = keyOf(agent);
    const open = this.#sessions.byIndex(INDEX.openByAgent, key);
    const taken = open.length + this.#unseen(agent);
    const capacity = this.#capacityOf(agent);
    if (taken < capacity) return;
    const active = open.filter(isActive).length;
    throw new Problem('AtCapacity', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      more: { activeSessions: active, maxAgents: capacity },
    });
  }

  /**
   * @returns when the Session has its pod
   * @throws Problem when it is refused, or has none in time
   */
  async start(order: StartOrder): Promise<Started> {
    const { retry, agent } = order;
    if (retry === undefined) {
      order.checkReady();
      this.checkCapacity(agent);
      return await this.wait(await this.#make(order), order);
    }
    const { namespace = '' } = agent.metadata;
    for (let attempt = 0; attempt < MAX_NAMES;) {
      // A refused one that somebody else keeps from going would be in the way for ever.
      if (this.#clock.now() >= order.until) throw new Problem('StartTimeout');
      const name = retry.name(attempt);
      const session = await this.#findOrMake(namespace, { ...order, name });
      if (session === 'again') continue;
      const ageMs = this.#clock.now() - Date.parse(session.metadata.creationTimestamp);
      if (ageMs > WINDOW_MS) {
        attempt += 1;
        continue;
      }
      checkSame(retry.isFor(session));
      // It was there before this request, which is answered as the one before was.
      const answer = earlierAnswer(session);
      if (answer !== undefined) return startedBy(session, answer);
      try {
        return await this.wait(session, order);
      } catch (error) {
        if (!isWithoutBody(error)) throw error;
      }
    }
    throw new Problem('Conflict', { error: 'This Idempotency-Key has been used too often. Use a new one.' });
  }

  /** The Session of that name, as it is or as it is made now; again, when it was refused, which is no reason to refuse it now. */
  async #findOrMake(namespace: string, order: StartOrder): Promise<Session | 'again'> {
    const { name, agent } = order;
    const key = keyOf({ namespace, name });
    const known = (await this.#retried.get(key)?.catch(() => undefined)) ?? this.#sessions.get(key);
    if (known !== undefined && known.status?.phase !== 'Rejected') return known;
    if (known !== undefined) await this.#writer.delete(known);
    try {
      order.checkReady();
      this.checkCapacity(agent);
    } catch (error) {
      // The cache of this replica may not show yet what another has just made.
      const fresh = await this.#read(namespace, name);
      if (fresh === undefined || fresh.status?.phase === 'Rejected') throw error;
      return fresh;
    }
    const making = this.#make(order);
    this.#retried.set(key, making);
    try {
      return await making;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const fresh = await this.#read(namespace, name);
      if (fresh?.status?.phase === 'Rejected') await this.#writer.delete(fresh);
      return fresh === undefined || fresh.status?.phase === 'Rejected' ? 'again' : fresh;
    } finally {
      this.#retried.delete(key);
    }
  }

  async #read(namespace: string, name: string): Promise<Session | undefined> {
    const session = await find(this.#api, sessionResource, { namespace, name });
    if (session !== undefined) this.#sessions.writeThrough(session);
    return session;
  }

  /** Waits for the verdict on a Session that is there. */
  async wait(
    session: Session,
    { until, signal, undo }: Pick<StartOrder, 'until' | 'signal' | 'undo'>,
  ): Promise<Started> {
    const deadline = deadlineOf(this.#clock, { until, signal });
    try {
      return await this.#changes.first(session, (now) => this.#decide(session, now), deadline.signal);
    } catch (error) {
      const isLate = deadline.isPast() && !(error instanceof Problem);
      // Whoever has only gone may come again for their session.
      if (!isLate && !(error instanceof Problem)) throw error;
      // A late one may be given a pod at this very moment: the deletion ends it then.
      await Promise.all([this.#writer.delete(session), undo?.()]);
      throw isLate ? new Problem('StartTimeout', { cause: error }) : error;
    } finally {
      deadline.cancel();
    }
  }

  #decide(session: Session, now: Session | undefined): Started | undefined {
    if (now === undefined) throw new Problem('StartFailed', { error: 'The session was deleted before it started' });
    const verdict = startVerdict(now);
    if (verdict.kind === 'waiting') return undefined;
    if (verdict.kind === 'started') return startedBy(session, verdict);
    const { problem, message } = verdict;
    throw new Problem(problem, {
      ...(problem === 'StartFailed' && { error: `The session could not be started: ${message}` }),
      ...(problem === 'AtCapacity' && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
      more: { reason: now.status?.reason, detail: message },
    });
  }

  async #make({ agent, name, tell, undo, until, signal, retry }: StartOrder): Promise<Session> {
    const { namespace = '', name: agentName } = agent.metadata;
    const key = keyOf(agent);
    const making = this.#making.get(key) ?? new Set();
    this.#making.set(key, making.add(name));
    const deadline = deadlineOf(this.#clock, { until, signal });
    try {
      const { spec, bring } = await this.#carrier.carry(await tell(name), agent, name);
      const wanted: NewObject<Session> = {
        apiVersion: agent.apiVersion,
        kind: 'Session',
        metadata: {
          name,
          labels: { [labels.startedBy]: startedByGateway },
          ...(retry && { annotations: { [annotations.request]: retry.fingerprint } }),
        },
        spec: { agent: agentName, ...spec, startBefore: new Date(until).toISOString() },
      };
      const session = await this.#writer.create(namespace, wanted, {
        signal: deadline.signal,
        once: retry === undefined,
      });
      this.#sessions.writeThrough(session);
      await bring?.(session).catch(async (error: unknown) => {
        await this.#writer.delete(session);
        throw error;
      });
      void this.#carrier.dropWhenTold(session, this.#ending);
      return session;
    } catch (error) {
      // Where it is there, or may be, and is asked for again, its agent is to find what it is told of.
      const mayBeThere = isAlreadyExists(error) || isOutcomeUnknown(error);
      if (retry === undefined || !mayBeThere) await undo?.();
      throw error;
    } finally {
      deadline.cancel();
      making.delete(name);
      if (making.size === 0) this.#making.delete(key);
    }
  }

  /** How many are being made that the cache does not show: one that it shows may be the same start at another replica. */
  #unseen(agent: Agent): number {
    const { namespace = '' } = agent.metadata;
    const making = [...(this.#making.get(keyOf(agent)) ?? [])];
    return making.filter((name) => this.#sessions.get(keyOf({ namespace, name })) === undefined).length;
  }

  #capacityOf(agent: Agent): number {
    const known = this.#capacity.get(agent);
    if (known !== undefined) return known;
    const parsed = parseAgentSpec(agent.spec);
    // Where Sessions wait for their turn, or nobody can tell, the controller decides.
    const decides = parsed.ok && parsed.spec.whenFull === 'Reject';
    const capacity = decides ? parsed.spec.scaling.maxAgents : Infinity;
    this.#capacity.set(agent, capacity);
    return capacity;
  }
}

function startedBy({ metadata }: Session, { start, expiresAt }: Omit<Started, 'sessionId'>): Started {
  return { sessionId: metadata.name, start, expiresAt };
}

/** @throws Problem where it is another request, or nobody can tell: another replica has newer keys, which come here, too */
function checkSame(isSame: boolean | undefined): void {
  if (isSame === false) throw new Problem('IdempotencyMismatch');
  if (isSame === undefined)
    throw new Problem('Unavailable', {
      error: 'The keys of the gateway are being changed. Please try again.',
      retryAfterSeconds: 30,
    });
}

/** Whoever made the Session has died before its body was there: it has been deleted, and this request has one. */
function isWithoutBody(error: unknown): boolean {
  return error instanceof Problem && error.more['reason'] === ('BodyNotFound' satisfies RejectReason);
}
