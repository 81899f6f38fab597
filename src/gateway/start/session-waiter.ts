import type { RejectReason } from '../../api/reasons.ts';
import type { Session } from '../../api/session.ts';
import { settlesWithin, type Clock } from '../../kube/clock.ts';
import { Problem } from '../problems.ts';
import type { Deadline } from './deadline.ts';
import type { Places } from './places.ts';
import type { SessionChanges } from './session-changes.ts';
import type { SessionWriter } from './session-writer.ts';
import type { Started, StartOrder } from './start-order.ts';
import { earlierAnswer, startVerdict, type StartVerdict } from './start-verdict.ts';

/** How long a caller waits, beyond their time, for what was done for them to be undone. That goes on without them. */
const GOODBYE_MS = 2_000;

type Undo = () => Promise<void>;

/** Those who wait here for one Session. */
interface Waiting {
  count: number;
  /** How to undo what those did who have left the others waiting. */
  left: Undo[];
}

/** What became of a Session; `now` is undefined when it has gone. */
type Outcome = { kind: 'gone'; now?: undefined } | (Exclude<StartVerdict, { kind: 'waiting' }> & { now: Session });

/** Waits for what the controller decides on Sessions. A start that is refused leaves no object behind. */
export class SessionWaiter {
  readonly #changes: SessionChanges;
  readonly #writer: SessionWriter;
  readonly #places: Places;
  readonly #clock: Clock;
  /** By uid. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(deps: { changes: SessionChanges; writer: SessionWriter; places: Places; clock: Clock }) {
    this.#changes = deps.changes;
    this.#writer = deps.writer;
    this.#places = deps.places;
    this.#clock = deps.clock;
  }

  /**
   * @returns when the Session, which is there, has its pod; again, when it did not start for a reason that does not hold for this order
   * @throws Problem when it is refused, or has none in time
   */
  async wait(session: Session, order: StartOrder): Promise<Started | 'again'> {
    const { uid } = session.metadata;
    const waiting = this.#waiting.get(uid) ?? { count: 0, left: [] };
    this.#waiting.set(uid, waiting);
    waiting.count += 1;
    const leave = (): void => {
      waiting.count -= 1;
      if (waiting.count === 0) this.#waiting.delete(uid);
    };
    let outcome: Outcome;
    try {
      outcome = await this.#changes.first(session, outcomeOf, order.deadline.signal).finally(leave);
    } catch (error) {
      // Whoever has only gone may come again for their session.
      if (!order.deadline.isPast()) throw error;
      return await this.#late(session, order, waiting);
    }
    if (outcome.kind === 'started') return startedBy(session, outcome);
    if (order.retry !== undefined && isAnothers(outcome, order.deadline)) return 'again';
    const deleted = outcome.kind === 'gone' ? undefined : this.#writer.delete(session);
    await Promise.all([deleted, ...undosOf(waiting, order).map((undo) => undo())]);
    throw this.#refusal(outcome, order);
  }

  /** The Session goes with the last who waits for it, unless it has its pod by then, of which somebody may have been told. */
  async #late(session: Session, order: StartOrder, waiting: Waiting): Promise<Started> {
    if (waiting.count > 0) {
      if (order.undo !== undefined) waiting.left.push(order.undo);
      throw new Problem('StartTimeout');
    }
    const taken = this.#takeBack(session, order, undosOf(waiting, order));
    const kept = (await settlesWithin(this.#clock, taken, GOODBYE_MS)) ? await taken : undefined;
    const answer = kept && earlierAnswer(kept);
    if (answer === undefined) throw new Problem('StartTimeout');
    return startedBy(session, answer);
  }

  /** The Session where it stays. */
  async #takeBack(session: Session, { retry }: StartOrder, undos: readonly Undo[]): Promise<Session | undefined> {
    if (retry === undefined) {
      // It may be given a pod at this very moment: the deletion ends it then.
      await Promise.all([this.#writer.delete(session), ...undos.map((undo) => undo())]);
      return undefined;
    }
    // Whoever asks again may be using by now what was done for it.
    return await this.#writer.deleteUnstarted(session);
  }

  #refusal(outcome: Exclude<Outcome, { kind: 'started' }>, { agent }: StartOrder): Problem {
    if (outcome.kind === 'gone')
      return new Problem('StartFailed', { error: 'The session was deleted before it started' });
    const { problem, message, now } = outcome;
    const more = { reason: now.status?.reason, detail: message };
    if (problem === 'AtCapacity') return this.#places.refusal(agent, more);
    return new Problem(problem, {
      ...(problem === 'StartFailed' && { error: `The session could not be started: ${message}` }),
      more,
    });
  }
}

function outcomeOf(now: Session | undefined): Outcome | undefined {
  if (now === undefined) return { kind: 'gone' };
  const verdict = startVerdict(now);
  return verdict.kind === 'waiting' ? undefined : { ...verdict, now };
}

/**
 * Whether it was for whoever made the Session that it did not start: they were late and took it back, or had less time, or died before its
 * body was there.
 */
function isAnothers(outcome: Exclude<Outcome, { kind: 'started' }>, { until }: Deadline): boolean {
  if (outcome.kind === 'gone') return true;
  const { status, spec } = outcome.now;
  if (status?.reason === ('BodyNotFound' satisfies RejectReason)) return true;
  return outcome.problem === 'StartTimeout' && Date.parse(spec.startBefore ?? '') < until;
}

/** What there is to undo when nobody gets the session: each thing once. */
function undosOf({ left }: Waiting, { undo }: StartOrder): Undo[] {
  return [...left.splice(0), ...(undo === undefined ? [] : [undo])];
}

export function startedBy({ metadata }: Session, { start, expiresAt }: Omit<Started, 'sessionId'>): Started {
  return { sessionId: metadata.name, start, expiresAt };
}
