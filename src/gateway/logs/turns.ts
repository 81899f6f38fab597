import { abortReason } from '../../kube/clock.ts';

/** Lets only so many do something at one time; the others wait for their turn, in the order in which they came. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Rejects with the signal's reason when that is aborted before the turn comes, else as `work` does. */
  async take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#turn(signal);
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.delete(begin);
        signal.removeEventListener('abort', leave);
      };
      const begin = (): void => {
        stop();
        resolve();
      };
      const leave = (): void => {
        stop();
        reject(abortReason(signal));
      };
      this.#waiting.add(begin);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
