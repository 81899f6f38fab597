import type { Clock } from './clock.ts';

export interface BackoffOptions {
  /** The first delay, milliseconds. */
  baseMs: number;
  /** The longest delay, milliseconds. */
  maxMs: number;
  /** After this long without a failure the next one counts as the first, milliseconds. */
  resetAfterMs: number;
}

/**
 * Delays that double with every failure, each shortened at random by up to half, so that many clients do not come back
 * together.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  #failures = 0;
  #lastFailure = -Infinity;

  constructor(options: BackoffOptions, clock: Clock, random: () => number) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
  }

  /** Counts a failure and says how many milliseconds to wait. */
  next(): number {
    const { baseMs, maxMs, resetAfterMs } = this.#options;
    const now = this.#clock.monotonic();
    if (now - this.#lastFailure > resetAfterMs) this.#failures = 0;
    const delay = Math.min(baseMs * 2 ** this.#failures, maxMs) * (0.5 + this.#random() / 2);
    // Past the longest delay more doubling says nothing, and in the end is Infinity.
    if (delay < maxMs) this.#failures++;
    this.#lastFailure = now + delay;
    return delay;
  }
}
