import { Problem } from '../problems.ts';

/** When to come back: what is under way is so for moments. */
const RETRY_AFTER_SECONDS = 1;

/** What one request has taken of the budget. */
export interface ByteShare {
  /** @throws Problem Unavailable when the requests together would hold too much; this one holds nothing then */
  take: (bytes: number) => void;
  /** Gives back all of it. */
  release: () => void;
}

/**
 * Bounds what the bodies of all requests hold until these are answered, or all replies until they are taken: each is small, but any number
 * of callers may send or want one. Those of one organization hold half of it at most, so that none stands in the way of all the others.
 * Counted is what has come, not what was announced, so that nobody holds a share of it by sending nothing.
 */
export class ByteBudget {
  readonly #maxBytes: number;
  readonly #held = new Map<string, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  share(organization: string): ByteShare {
    let held = 0;
    const release = (): void => {
      this.#add(organization, -held);
      held = 0;
    };
    const take = (bytes: number): void => {
      if (!this.#hasRoom(organization, bytes)) {
        release();
        throw new Problem('Unavailable', {
          error: 'There are too many large requests or replies at this moment. Please try again.',
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        });
      }
      held += bytes;
      this.#add(organization, bytes);
    };
    return { take, release };
  }

  #hasRoom(organization: string, bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes && this.#of(organization) + bytes <= this.#maxBytes / 2;
  }

  #add(organization: string, bytes: number): void {
    this.#bytes += bytes;
    const held = this.#of(organization) + bytes;
    if (held === 0) this.#held.delete(organization);
    else this.#held.set(organization, held);
  }

  #of(organization: string): number {
    return this.#held.get(organization) ?? 0;
  }
}
