import { abortable, settlesWithin, sleep, type Clock } from '../../kube/clock.ts';
import { Problem } from '../problems.ts';
import { Tally } from './tally.ts';

/** Turns are short, and another replica may have one at once. */
const RETRY_AFTER_SECONDS = 1;

export interface TurnRules {
  atOnce: number;
  /** Of those, how many for the same one. */
  each: number;
  /** How many may wait for the same one, and how long each of them. */
  waiting: number;
  waitMs: number;
  /** When a turn is over that nobody has given back. */
  turnMs: number;
}

interface Waiter {
  who: string;
  begin: () => void;
}

/**
 * Lets only so many do something at one time, and only so many of them for the same one. Of those who wait it is the turn of whoever has
 * the fewest turns now, and among these of who came first.
 */
export class Turns {
  readonly #rules: TurnRules;
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  readonly #taken = new Tally();
  readonly #waiting = new Set<Waiter>();

  /** @param stopping aborted when the process is to end: nobody waits any more then */
  constructor(rules: TurnRules, { clock, stopping }: { clock: Clock; stopping: AbortSignal }) {
    this.#rules = rules;
    this.#clock = clock;
    this.#stopping = stopping;
  }

  /**
   * Resolves when it is their turn; it is over when `over` is aborted. Rejects with the reason of that when it comes before the turn.
   *
   * @param who whose turn it is
   * @throws Problem Unavailable when too many wait, or it took too long
   */
  async take(who: string, over: AbortSignal): Promise<void> {
    over.throwIfAborted();
    if (this.#mayBegin(who)) this.#begin(who, over);
    else await this.#wait(who, over);
  }

  async #wait(who: string, over: AbortSignal): Promise<void> {
    const { waiting, waitMs } = this.#rules;
    if ([...this.#waiting].filter((other) => other.who === who).length >= waiting) throw busy();
    const { promise: begun, resolve } = Promise.withResolvers<undefined>();
    const waiter = {
      who,
      begin: () => {
        this.#waiting.delete(waiter);
        this.#begin(who, over);
        resolve(undefined);
      },
    };
    this.#waiting.add(waiter);
    await settlesWithin(this.#clock, abortable(begun, AbortSignal.any([over, this.#stopping])), waitMs);
    const stillWaits = this.#waiting.delete(waiter);
    if (!stillWaits) return;
    over.throwIfAborted();
    throw busy();
  }

  #mayBegin(who: string): boolean {
    return this.#taken.all < this.#rules.atOnce && this.#taken.of(who) < this.#rules.each;
  }

  #begin(who: string, over: AbortSignal): void {
    this.#taken.add(who);
    const end = (): void => {
      this.#taken.remove(who);
      const [next] = [...this.#waiting]
        .filter((waiter) => this.#mayBegin(waiter.who))
        .sort((a, b) => this.#taken.of(a.who) - this.#taken.of(b.who));
      next?.begin();
    };
    sleep(this.#clock, this.#rules.turnMs, over).then(end, end);
  }
}

function busy(): Problem {
  const error = 'Too many logs are read at this moment. Please try again.';
  return new Problem('Unavailable', { error, retryAfterSeconds: RETRY_AFTER_SECONDS });
}
