import type { Clock, Timer } from './clock.ts';
import { Fifo } from './fifo.ts';
import type { KubeMetrics } from './metrics.ts';

export interface WorkQueueOptions {
  /** Label of the metrics. */
  name: string;
  clock: Clock;
  metrics?: KubeMetrics | undefined;
  /** Delay after a key's first failure; it doubles with each further one. Default 5 ms. */
  baseDelayMs?: number | undefined;
  /** Longest delay after failures. Default 5 minutes. */
  maxDelayMs?: number | undefined;
  /** All keys together: so many retries per second (default 10) after a burst of so many (default 100). */
  retriesPerSecond?: number | undefined;
  retryBurst?: number | undefined;
}

/**
 * The keys that a controller has to look at, with the semantics of client-go's workqueue.
 *
 * A key is in one of these states:
 * - *absent*;
 * - *dirty*: it waits in line. Adding it again changes nothing: one look sees everything that happened before it;
 * - *processing*: a worker has it. No other worker gets it meanwhile;
 * - *processing and dirty*: it was added while a worker had it, so it goes back in line at `done`.
 *
 * Beside that, a key may have a time at which it will be added, and a number of failures. Unlike in client-go that time is forgotten when
 * the key is handed out: the look that follows sees everything, and says itself when it wants the next one. Otherwise a key that was once
 * to be looked at in two hours would keep its timer that long, whatever had become of it.
 */
export class WorkQueue {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #metrics: KubeMetrics | undefined;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #retriesPerSecond: number;
  readonly #retryBurst: number;
  readonly #line = new Fifo<string>();
  /** Processing, since when (monotonic). */
  readonly #processing = new Map<string, number>();
  /** Dirty, since when (monotonic). In line, or processing as well. */
  readonly #dirty = new Map<string, number>();
  readonly #timers = new Map<string, { at: number; timer: Timer }>();
  readonly #failures = new Map<string, number>();
  readonly #waiters = new Set<() => void>();
  readonly #stopSampling: (() => void)[] = [];
  #tokens: number;
  #tokensAt: number;
  #shutDown = false;

  constructor(options: WorkQueueOptions) {
    this.#name = options.name;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 5 * 60_000;
    this.#retriesPerSecond = options.retriesPerSecond ?? 10;
    this.#retryBurst = options.retryBurst ?? 100;
    this.#tokens = this.#retryBurst;
    this.#tokensAt = this.#clock.monotonic();
    this.#sampleMetrics();
  }

  /** Keys in line. */
  get length(): number {
    return this.#line.length;
  }

  /** Puts a key in line, once. */
  add(key: string): void {
    if (this.#shutDown || this.#dirty.has(key)) return;
    this.#metrics?.count('queueAdds', { name: this.#name });
    this.#dirty.set(key, this.#clock.monotonic());
    if (!this.#processing.has(key)) this.#enqueue(key);
  }

  /** Adds a key later. Of several times for one key the earliest counts. Times beyond 24 days come early. */
  addAfter(key: string, ms: number): void {
    if (this.#shutDown) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + ms;
    const pending = this.#timers.get(key);
    if (pending !== undefined && pending.at <= at) return;
    pending?.timer.cancel();
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, ms);
    this.#timers.set(key, { at, timer });
  }

  /** Adds a key after a failure: later with each one, and not too many of all keys at once. */
  addRateLimited(key: string): void {
    if (this.#shutDown) return;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#metrics?.count('queueRetries', { name: this.#name });
    this.addAfter(key, Math.max(Math.min(this.#baseDelayMs * 2 ** failures, this.#maxDelayMs), this.#reserve()));
  }

  /** The key is fine: its failures no longer count. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures of a key since it was last forgotten. */
  numRequeues(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /**
   * The next key, as soon as there is one; `done` must follow. Undefined when the signal is aborted, or when the queue
   * is shut down and empty.
   */
  async get(signal?: AbortSignal): Promise<string | undefined> {
    while (!signal?.aborted) {
      const key = this.#take();
      if (key !== undefined) return key;
      if (this.#shutDown) return undefined;
      await this.#wait(signal);
    }
    this.#wakeOne(); // the key that woke us is still in line
    return undefined;
  }

  /** The worker is finished with a key that it got. */
  done(key: string): void {
    const since = this.#processing.get(key);
    if (since === undefined) return;
    this.#processing.delete(key);
    this.#metrics?.observe('workDuration', { name: this.#name }, (this.#clock.monotonic() - since) / 1000);
    if (this.#dirty.has(key)) this.#enqueue(key);
  }

  /** Takes no more keys, and drops those that were to come later. Those in line are still handed out. */
  shutDown(): void {
    this.#shutDown = true;
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const stop of this.#stopSampling) stop();
    for (const wake of this.#waiters) wake();
  }

  #enqueue(key: string): void {
    this.#line.push(key);
    this.#wakeOne();
  }

  #wakeOne(): void {
    const [wake] = this.#waiters;
    if (this.#line.length > 0) wake?.();
  }

  #take(): string | undefined {
    const key = this.#line.shift();
    if (key === undefined) return undefined;
    // This look sees everything, and says itself when to look again.
    this.#timers.get(key)?.timer.cancel();
    this.#timers.delete(key);
    const now = this.#clock.monotonic();
    this.#processing.set(key, now);
    const waited = now - (this.#dirty.get(key) ?? now);
    this.#dirty.delete(key);
    this.#metrics?.observe('queueDuration', { name: this.#name }, waited / 1000);
    return key;
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  /** Takes a token from the bucket that all keys share, and says in how many milliseconds it will be there. */
  #reserve(): number {
    const now = this.#clock.monotonic();
    const refilled = this.#tokens + ((now - this.#tokensAt) / 1000) * this.#retriesPerSecond;
    this.#tokens = Math.min(refilled, this.#retryBurst) - 1;
    this.#tokensAt = now;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#retriesPerSecond) * 1000;
  }

  #sampleMetrics(): void {
    const metrics = this.#metrics;
    if (metrics === undefined) return;
    const labels = { name: this.#name };
    const ages = (): number[] =>
      [...this.#processing.values()].map((since) => (this.#clock.monotonic() - since) / 1000);
    this.#stopSampling.push(
      metrics.sample('queueDepth', labels, () => this.#line.length),
      metrics.sample('unfinishedWork', labels, () => ages().reduce((sum, age) => sum + age, 0)),
      metrics.sample('longestRunning', labels, () => Math.max(0, ...ages())),
    );
  }
}
