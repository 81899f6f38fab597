import { sessions as sessionResource } from '../../api/resources.ts';
import type { Session } from '../../api/session.ts';
import type { KubeApi } from '../../kube/api.ts';
import { sleep, type Clock } from '../../kube/clock.ts';
import { isAlreadyExists } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import { Problem } from '../problems.ts';
import type { BodyCarrier } from './body-carrier.ts';
import type { Deadline } from './deadline.ts';
import type { Retry } from './idempotency.ts';
import { FIRST_PAUSE_MS, longerPause } from './pause.ts';
import { Places } from './places.ts';
import { isYoung, nameOf } from './retry-name.ts';
import type { SessionChanges } from './session-changes.ts';
import { SessionMaker } from './session-maker.ts';
import { SessionWaiter, startedBy } from './session-waiter.ts';
import type { SessionWriter } from './session-writer.ts';
import type { Started, StartOrder } from './start-order.ts';
import { earlierAnswer, isRefused } from './start-verdict.ts';

/**
 * Starts Sessions as anybody may: it makes the object and waits for what the controller decides. A start that is refused leaves no object
 * behind.
 */
export class SessionStarter {
  readonly #api: KubeApi;
  readonly #sessions: Store<Session>;
  readonly #writer: SessionWriter;
  readonly #clock: Clock;
  readonly #places: Places;
  readonly #maker: SessionMaker;
  readonly #waiter: SessionWaiter;
  /** Sessions that are being made and may be asked for again meanwhile, by `namespace/name`. */
  readonly #retried = new Map<string, Promise<Session>>();

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
    this.#writer = deps.writer;
    this.#clock = deps.clock;
    this.#places = new Places(deps.sessions);
    this.#maker = new SessionMaker(deps);
    this.#waiter = new SessionWaiter({ ...deps, places: this.#places });
  }

  /**
   * @returns when the Session has its pod
   * @throws Problem when it is refused, or has none in time
   */
  async start(order: StartOrder): Promise<Started> {
    const { deadline } = order;
    try {
      for (let waitMs = FIRST_PAUSE_MS; ; waitMs = longerPause(waitMs)) {
        const answer = await this.#tryOnce(order);
        if (answer !== 'again') return answer;
        // A refused Session is in the way, or another replica takes back what it has done for it.
        await sleep(this.#clock, waitMs, deadline.signal);
      }
    } catch (error) {
      if (error instanceof Problem || !deadline.isPast()) throw error;
      throw new Problem('StartTimeout', { cause: error });
    }
  }

  async #tryOnce(order: StartOrder): Promise<Started | 'again'> {
    const { retry } = order;
    const session = await (retry === undefined ? this.#makeNew(order) : this.#sessionOf(order, retry));
    if (session === 'again') return 'again';
    if (retry !== undefined) {
      checkSame(retry.isFor(session));
      // It was there before this request, which is answered as the one before was.
      const answer = earlierAnswer(session);
      if (answer !== undefined) return startedBy(session, answer);
    }
    return await this.#waiter.wait(session, order);
  }

  async #makeNew(order: StartOrder): Promise<Session> {
    order.checkReady();
    this.#places.check(order.agent);
    return await this.#make(order);
  }

  /** The one Session that the key of a request stands for; again, where the cache was behind. */
  async #sessionOf(order: StartOrder, retry: Retry): Promise<Session | 'again'> {
    const { namespace = '' } = order.agent.metadata;
    const known = (name: string): Session | 'making' | undefined => {
      const key = keyOf({ namespace, name });
      return this.#retried.has(key) ? 'making' : this.#sessions.get(key);
    };
    const found = nameOf(retry, known, this.#clock.now());
    if (found === undefined)
      throw new Problem('Conflict', { error: 'This Idempotency-Key has been used too often. Use a new one.' });
    const { name, over } = found;
    for (const old of over) {
      const { name: held } = old.metadata;
      if ((await this.#read(namespace, held, order.deadline))?.metadata.uid === old.metadata.uid) continue;
      // Where that has gone, another replica may have begun with its name, or have made this one before it went.
      if ((await this.#read(namespace, name, order.deadline)) === undefined) this.#sessions.removeGone(old);
      return 'again';
    }
    const session = await this.#findOrMake(namespace, { ...order, name });
    return session === 'again' || !isYoung(session, this.#clock.now()) ? 'again' : session;
  }

  /** The Session of that name, as it is or as it is made now; again, when it was refused, which is no reason to refuse it now. */
  async #findOrMake(namespace: string, order: StartOrder): Promise<Session | 'again'> {
    const { name, agent } = order;
    const key = keyOf({ namespace, name });
    const known = (await this.#retried.get(key)?.catch(() => undefined)) ?? this.#sessions.get(key);
    if (known !== undefined && !isRefused(known)) return known;
    if (known !== undefined) {
      await this.#writer.delete(known);
      // Somebody else may keep it from going, and nothing is to be done for one that cannot be made.
      const left = await this.#read(namespace, name, order.deadline);
      if (left !== undefined) return isRefused(left) ? 'again' : left;
    }
    try {
      order.checkReady();
      this.#places.check(agent);
    } catch (error) {
      // The cache of this replica may not show yet what another has just made.
      const fresh = await this.#read(namespace, name, order.deadline);
      if (fresh === undefined || isRefused(fresh)) throw error;
      return fresh;
    }
    const making = this.#make(order);
    this.#retried.set(key, making);
    try {
      return await making;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const fresh = await this.#read(namespace, name, order.deadline);
      if (fresh === undefined || !isRefused(fresh)) return fresh ?? 'again';
      await this.#writer.delete(fresh);
      return 'again';
    } finally {
      this.#retried.delete(key);
    }
  }

  async #read(namespace: string, name: string, { signal }: Deadline): Promise<Session | undefined> {
    const session = await find(this.#api, sessionResource, { namespace, name }, { signal });
    if (session !== undefined) this.#sessions.writeThrough(session);
    return session;
  }

  async #make(order: StartOrder): Promise<Session> {
    return await this.#places.during(order.agent, order.name, () => this.#maker.make(order));
  }
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
