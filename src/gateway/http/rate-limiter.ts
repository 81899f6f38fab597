import { Problem } from '../problems.ts';

/** So many a second in the long run, and so many at once. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** Callers that are remembered at most: anybody may come from any address. */
const MAX_CALLERS = 10_000;

/**
 * A bucket of tokens for each caller, refilled all the time; a request that is served takes one. One that is refused takes none: whoever asks
 * for more than they may is served as much as they may, and not nothing.
 */
export class RateLimiter {
  readonly #rate: Rate;
  readonly #now: () => number;
  /** Least recently used first. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** @param now monotonic milliseconds */
  constructor(rate: Rate, now: () => number) {
    this.#rate = rate;
    this.#now = now;
  }

  /** @throws Problem RateLimited */
  take(caller: string): void {
    const { perSecond, burst } = this.#rate;
    const now = this.#now();
    const known = this.#buckets.get(caller) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    // Whoever is forgotten begins with a full bucket: that is the least recently seen one.
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_CALLERS) break;
      this.#buckets.delete(oldest);
    }
    if (tokens < 1) throw new Problem('RateLimited', { retryAfterSeconds: (1 - tokens) / perSecond });
  }
}
