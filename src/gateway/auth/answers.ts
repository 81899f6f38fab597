import type { Clock } from '../../kube/clock.ts';

/** Answers that are kept at most: anybody may send any token. */
const KEEP_COUNT = 1_000;

/** What is asked of Kubernetes, and kept for moments: a command line asks several times in a second. */
export class Answers<T> {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #kept = new Map<string, { until: number; answer: Promise<T> }>();

  constructor({ clock, keepMs }: { clock: Clock; keepMs: number }) {
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** @param admit throws where there is no answer yet and none is to be asked for */
  async get(key: string, ask: () => Promise<T>, admit: () => void = () => undefined): Promise<T> {
    const now = this.#clock.monotonic();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > now) return await kept.answer;
    admit();
    const answer = ask();
    this.#kept.delete(key);
    this.#kept.set(key, { until: now + this.#keepMs, answer });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEEP_COUNT) break;
      this.#kept.delete(oldest);
    }
    // What failed is asked again.
    answer.catch(() => this.#kept.delete(key));
    return await answer;
  }
}
