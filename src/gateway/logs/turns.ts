import { abortReason } from '../../kube/clock.ts';

interface Waiter {
  who: string;
  begin: () => void;
}

/**
 * Lets only so many do something at one time, and only so many of them for the same one; the others wait for their turn, in the order in
 * which they came.
 */
export class Turns {
  readonly #each: number;
  readonly #taken = new Map<string, number>();
  readonly #waiting = new Set<Waiter>();
  #free: number;

  constructor({ atOnce, each }: { atOnce: number; each: number }) {
    this.#free = atOnce;
    this.#each = each;
  }

  /**
   * Rejects with the signal's reason when that is aborted before the turn comes, else as `work` does.
   *
   * @param who whose turn it is
   */
  async take<T>(who: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#turn(who, signal);
    try {
      return await work();
    } finally {
      this.#give(who);
    }
  }

  async #turn(who: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#mayBegin(who)) {
      this.#begin(who);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        reject(abortReason(signal));
      };
      const waiter = {
        who,
        begin: () => {
          this.#waiting.delete(waiter);
          signal.removeEventListener('abort', leave);
          this.#begin(who);
          resolve();
        },
      };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #mayBegin(who: string): boolean {
    return this.#free > 0 && this.#takenBy(who) < this.#each;
  }

  #begin(who: string): void {
    this.#free -= 1;
    this.#taken.set(who, this.#takenBy(who) + 1);
  }

  #give(who: string): void {
    this.#free += 1;
    const left = this.#takenBy(who) - 1;
    if (left === 0) this.#taken.delete(who);
    else this.#taken.set(who, left);
    for (const waiter of this.#waiting) {
      if (!this.#mayBegin(waiter.who)) continue;
      waiter.begin();
      return;
    }
  }

  #takenBy(who: string): number {
    return this.#taken.get(who) ?? 0;
  }
}
