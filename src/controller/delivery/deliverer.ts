import { abortable, sleep, type Clock } from '../../kube/clock.ts';
import type { Logger } from '../../kube/logger.ts';
import type { BindRequest } from '../../supervisor/wire.ts';
import type { Message } from '../body.ts';
import type { Delivery } from '../session-facts.ts';
import { UNREACHABLE_MS } from '../session-retry.ts';
import type { CallSupervisor, SupervisorAnswer } from './supervisor-client.ts';

/** Between two tries while the agent is not ready, on top of what the supervisor waits. */
const WAITING_MS = 100;

/** Between two tries while there is no connection: a cold pod's supervisor is about to start. */
const RETRY_MS = { first: 20, longest: 500, factor: 1.5 };

/**
 * With these a supervisor refuses what is signed for another pod, and what it cannot do because it serves another session. It has done
 * nothing of that very request then; whether it has of an earlier one is not said.
 */
const NOTHING_DONE: ReadonlySet<number> = new Set([401, 409]);

/** Signs requests for a pod that trusts certain keys. */
export interface Signer {
  sign(
    claims: { podUid: string; sessionUid: string; operation: 'bind' | 'stop'; body?: string },
    knownKids: readonly string[],
  ): Promise<string | undefined>;
}

/** A pod that can be spoken to. */
export interface Address {
  podUid: string;
  host: string;
  /** The keys that the pod trusts. */
  kids: readonly string[];
}

export interface Order {
  sessionUid: string;
  to: Address;
  request: Omit<BindRequest, 'body' | 'headers' | 'startTimeoutSeconds'>;
  /** Reads what the agent is told, when it is needed. */
  message: () => Promise<Message>;
  /** The agent must have been told by then; Unix milliseconds. */
  startBy: number;
}

interface Entry {
  podUid: string;
  stop: AbortController;
  startedAt?: number;
  /** A byte has left this process, of a request of which it is not known that nothing was done. */
  sent: boolean;
  expired?: true;
  answered?: true;
  /** Since when its time is over, monotonic milliseconds. */
  lateSince?: number;
  unreachableSince?: number;
  problem?: string;
}

/**
 * Hands Sessions to the supervisors of their pods, beside the session loop: a slow agent must not hold a worker. It asks the same
 * pod the same thing until there is an answer, and wakes the loop with it.
 *
 * Whether a Session may be given to another pod depends on what has left this process, so that is kept until the Session is over.
 */
export class Deliverer {
  readonly #signer: Signer;
  readonly #call: CallSupervisor;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #wake: (sessionUid: string) => void;
  readonly #entries = new Map<string, Entry>();
  /** Pods that this process has bound: nobody else can have told them anything. */
  readonly #boundHere = new Map<string, string>();
  /** When a session was asked to end, monotonic milliseconds. */
  readonly #stopAsked = new Map<string, number>();

  constructor(deps: {
    signer: Signer;
    call: CallSupervisor;
    clock: Clock;
    logger: Logger;
    wake: (sessionUid: string) => void;
  }) {
    this.#signer = deps.signer;
    this.#call = deps.call;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#wake = deps.wake;
  }

  /** This process has bound the pod to the Session. */
  bound(sessionUid: string, podUid: string): void {
    this.#boundHere.set(sessionUid, podUid);
  }

  /** What is known of handing the Session to this pod; undefined where another process may know more. */
  stateOf(sessionUid: string, podUid: string): Delivery | undefined {
    const entry = this.#entries.get(sessionUid);
    const stopAskedAt = this.#stopAsked.get(sessionUid);
    const asked = stopAskedAt === undefined ? {} : { stopAskedMsAgo: this.#clock.monotonic() - stopAskedAt };
    const foreign = this.#boundHere.get(sessionUid) !== podUid;
    if (entry?.podUid !== podUid) {
      if (!foreign) return { sent: false, ...asked };
      return stopAskedAt === undefined ? undefined : { sent: true, ...asked };
    }
    const { startedAt, answered, expired, unreachableSince, problem } = entry;
    return {
      // What another leader has bound, it may have told.
      sent: entry.sent || foreign,
      ...(foreign && answered === undefined && expired === undefined && { unasked: true as const }),
      ...(expired && { expired }),
      ...asked,
      ...(startedAt !== undefined && { startedAt }),
      ...(problem !== undefined && { problem }),
      ...(unreachableSince !== undefined && { unreachableForMs: this.#clock.monotonic() - unreachableSince }),
    };
  }

  /** Begins to hand a Session over, unless that is under way or done. */
  deliver(order: Order): void {
    const { sessionUid, to } = order;
    const known = this.#entries.get(sessionUid);
    if (known?.podUid === to.podUid) return;
    known?.stop.abort();
    const entry: Entry = {
      podUid: to.podUid,
      stop: new AbortController(),
      sent: false,
    };
    this.#entries.set(sessionUid, entry);
    void this.#run(order, entry).catch((error: unknown) => {
      if (!entry.stop.signal.aborted) this.#logger.error({ err: error, session: sessionUid }, 'delivery failed');
    });
  }

  /**
   * Tells this pod nothing any more, if it has been told nothing.
   *
   * @returns false when it may have been told
   */
  giveUp(sessionUid: string, podUid: string): boolean {
    const entry = this.#entries.get(sessionUid);
    if (entry?.podUid !== podUid) return true; // Nothing was begun, so what was planned on still holds.
    if (entry.sent) return false;
    entry.stop.abort();
    return true;
  }

  /** Asks the supervisor, once, to end the session. Whether it does is seen in its pod. */
  async stop(sessionUid: string, to: Address): Promise<void> {
    if (this.#stopAsked.has(sessionUid)) return;
    this.#stopAsked.set(sessionUid, this.#clock.monotonic());
    this.#entries.get(sessionUid)?.stop.abort();
    const say = async (): Promise<{ token: string }> => ({
      token: await this.#sign({ podUid: to.podUid, sessionUid, operation: 'stop' }, to),
    });
    const signal = new AbortController().signal;
    const answer = await this.#call({ method: 'DELETE', host: to.host, say, signal, onSend: () => undefined });
    if (answer.kind !== 'answered')
      this.#logger.info({ session: sessionUid, problem: answer.message }, 'the supervisor did not take the stop');
  }

  /** The Session is over, or gone. */
  forget(sessionUid: string): void {
    this.#entries.get(sessionUid)?.stop.abort();
    this.#entries.delete(sessionUid);
    this.#boundHere.delete(sessionUid);
    this.#stopAsked.delete(sessionUid);
  }

  /** Ends everything that is under way. */
  close(): void {
    for (const { stop } of this.#entries.values()) stop.abort();
  }

  async #run(order: Order, entry: Entry): Promise<void> {
    const { signal } = entry.stop;
    // Read once, and kept for as long as this takes.
    let message: Promise<Message> | undefined;
    const read = async (): Promise<Message> => {
      try {
        return await abortable((message ??= order.message()), signal);
      } catch (error) {
        message = undefined;
        throw new Error(`the body cannot be read: ${(error as Error).message}`, { cause: error });
      }
    };
    for (let delay = RETRY_MS.first; !signal.aborted; delay = Math.min(delay * RETRY_MS.factor, RETRY_MS.longest)) {
      const remaining = (order.startBy - this.#clock.now()) / 1000;
      if (remaining <= 0 && this.#hasHadItsTime(order, entry)) {
        entry.expired = true;
        this.#wake(order.sessionUid);
        return;
      }
      const answer = await this.#try(order, entry, read);
      if (signal.aborted) return;
      this.#note(order, entry, answer);
      if (answer.kind === 'answered' && answer.reply.state !== 'waiting') {
        // Without a time it ended before it began: its termination message says how.
        if (answer.reply.startedAt !== undefined) entry.startedAt = answer.reply.startedAt;
        this.#wake(order.sessionUid);
        return;
      }
      // A supervisor has waited for its agent before it says so; whoever else has its port may answer at once.
      await sleep(this.#clock, answer.kind === 'answered' ? WAITING_MS : delay, signal);
    }
  }

  /** What another leader may have told is asked once more: it may have begun in time. */
  #hasHadItsTime({ sessionUid, to }: Order, entry: Entry): boolean {
    if (entry.answered === true || this.#boundHere.get(sessionUid) === to.podUid) return true;
    entry.lateSince ??= this.#clock.monotonic();
    return this.#clock.monotonic() - entry.lateSince >= UNREACHABLE_MS;
  }

  async #try(order: Order, entry: Entry, read: () => Promise<Message>): Promise<SupervisorAnswer> {
    const { sessionUid, to, request, startBy } = order;
    const say = async (): Promise<{ token: string; body: string }> => {
      const { headers, bytes } = await read();
      // With 0 seconds nothing begins any more, and the answer tells whether it has.
      const startTimeoutSeconds = Math.max(0, startBy - this.#clock.now()) / 1000;
      const bind: BindRequest = { ...request, headers, body: bytes.toString('base64'), startTimeoutSeconds };
      const body = JSON.stringify(bind);
      return { token: await this.#sign({ podUid: to.podUid, sessionUid, operation: 'bind', body }, to), body };
    };
    const onSend = (): void => {
      entry.sent = true;
    };
    const sentBefore = entry.sent;
    const answer = await this.#call({ method: 'PUT', host: to.host, say, signal: entry.stop.signal, onSend });
    if (answer.kind === 'refused' && NOTHING_DONE.has(answer.status)) entry.sent = sentBefore;
    return answer;
  }

  async #sign(claims: Parameters<Signer['sign']>[0], { kids }: Address): Promise<string> {
    const token = await this.#signer.sign(claims, kids).catch(() => undefined);
    if (token === undefined) throw new Error('the pod trusts none of our keys');
    return token;
  }

  #note(order: Order, entry: Entry, answer: SupervisorAnswer): void {
    if (answer.kind === 'unreachable') {
      entry.unreachableSince ??= this.#clock.monotonic();
      // Perhaps it is to be given up.
      if (this.#clock.monotonic() - entry.unreachableSince >= UNREACHABLE_MS) this.#wake(order.sessionUid);
    } else delete entry.unreachableSince;
    if (answer.kind === 'answered' || answer.kind === 'refused') entry.answered = true;
    if (answer.kind === 'answered') delete entry.problem;
    else if (answer.kind === 'withheld') entry.problem = answer.message;
    else entry.problem = `its supervisor at ${order.to.host}: ${answer.message}`;
  }
}
