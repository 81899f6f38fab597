import type { PoolReason } from '../../api/reasons.ts';
import type { Clock } from '../../kube/clock.ts';

/** Sessions come first: the pool is filled up when none has started for a moment, but not later than this. */
const AFTER_START_MS = { quiet: 100, atMost: 500 };

/** Between two tries after a pod could not be made, or ended while it waited: doubled each time. */
const BACKOFF_MS = { first: 1_000, longest: 300_000 };

/** A pod that ended while it waited, and how. */
export interface EndedPod {
  uid: string;
  why: string;
}

/**
 * What is remembered of an Agent's pool from one look to the next; all times are monotonic milliseconds. It is forgotten with the
 * process, which costs a cooldown begun anew, or one try too early.
 */
export class PoolMemory {
  readonly #clock: Clock;
  readonly #random: () => number;
  #now = 0;
  #ready = 0;
  #notBefore = 0;
  #firstStart: number | undefined;
  #failures = 0;
  #retryAt = 0;
  #problem: { reason: PoolReason; message: string } | undefined;
  #failed: { reason: PoolReason; message: string } | undefined;
  #ended: ReadonlySet<string> | undefined;
  #surplus: { since: number; least: number; seconds: number } | undefined;

  constructor({ clock, random }: { clock: Clock; random: () => number }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Why there are no pods: what Kubernetes said when one could not be made, or how those ended that were. */
  get problem(): { reason: PoolReason; message: string } | undefined {
    return this.#problem ?? this.#failed;
  }

  /**
   * Begins a look; all that is said until the next one holds for this moment.
   *
   * @param seen.started how many Sessions have just got a pod
   * @param seen.ready how many pods of the wanted revision are ready
   * @param seen.ended pods of that revision that ended while they waited
   */
  look({ started, ready, ended }: { started: number; ready: number; ended: readonly EndedPod[] }): void {
    const now = this.#clock.monotonic();
    this.#now = now;
    if (started > 0) {
      this.#firstStart ??= now;
      this.#notBefore = Math.min(this.#firstStart + AFTER_START_MS.atMost, now + AFTER_START_MS.quiet);
    } else if (now >= this.#notBefore) this.#firstStart = undefined;
    // That one has become ready shows that it can be done; that others still are shows nothing.
    if (ready > this.#ready) {
      this.#failures = 0;
      this.#failed = undefined;
    }
    this.#ready = ready;
    // Those that are there at the first look ended before it: they may be of a time when all was well with others.
    const before = this.#ended;
    const news = before && ended.find(({ uid }) => !before.has(uid));
    if (news !== undefined) {
      this.#failed = { reason: 'PodFailed', message: `a warm pod ended: ${news.why}` };
      this.#backOff();
    }
    this.#ended = new Set(ended.map(({ uid }) => uid));
  }

  /** Pods are being made: sessions that start from now on come first again. */
  creates(): void {
    this.#firstStart = undefined;
  }

  created(): void {
    this.#problem = undefined;
  }

  failed(problem: { reason: PoolReason; message: string }): void {
    this.#problem = problem;
    this.#now = this.#clock.monotonic();
    // Several that failed at one time are one failure.
    if (this.#now >= this.#retryAt) this.#backOff();
  }

  mayCreate(): boolean {
    return this.#now >= this.#notBefore && this.#now >= this.#retryAt;
  }

  /** How many pods have been surplus for the whole cooldown. */
  cooledDown(surplus: number, seconds: number): number {
    const now = this.#now;
    if (surplus === 0) {
      this.#surplus = undefined;
      return 0;
    }
    const known = this.#surplus ?? { since: now, least: surplus, seconds };
    const least = Math.min(known.least, surplus);
    this.#surplus = { since: known.since, least, seconds };
    if (now - known.since < seconds * 1000) return 0;
    this.#surplus = surplus > least ? { since: now, least: surplus - least, seconds } : undefined;
    return least;
  }

  /**
   * When to look again although nothing happens.
   *
   * @param held whether pods are to be made, and may not be yet
   */
  wakeAfterMs(held: boolean): number | undefined {
    const times: number[] = [];
    if (held) times.push(Math.max(this.#notBefore, this.#retryAt));
    if (this.#surplus !== undefined) times.push(this.#surplus.since + this.#surplus.seconds * 1000);
    return times.length === 0 ? undefined : Math.max(1, Math.min(...times) - this.#now);
  }

  #backOff(): void {
    const wait = Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#retryAt = this.#now + wait * (0.75 + this.#random() / 2);
  }
}
