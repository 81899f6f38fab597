import { Problem } from '../problems.ts';

/** When to come back: what is being read is read in moments. */
const RETRY_AFTER_SECONDS = 1;

/** What one request has taken of the budget. */
export interface BodyShare {
  /** @throws Problem Unavailable when all requests together would hold too much; this one holds nothing then */
  take: (bytes: number) => void;
  /** Gives back all of it. */
  release: () => void;
}

/**
 * Bounds what the bodies of all requests hold at one time, from their first byte until they are answered: each is small, but any number of
 * callers may send one. Counted is what has come, not what was announced, so that nobody holds a share of it by sending nothing.
 */
export class BodyBudget {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes;
  }

  share(): BodyShare {
    let held = 0;
    const release = (): void => {
      this.#bytes -= held;
      held = 0;
    };
    const take = (bytes: number): void => {
      if (this.#bytes + bytes > this.#maxBytes) {
        release();
        throw new Problem('Unavailable', {
          error: 'The gateway reads too many large requests at this moment. Please try again.',
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        });
      }
      held += bytes;
      this.#bytes += bytes;
    };
    return { take, release };
  }
}
