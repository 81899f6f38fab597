import type { Clock, Timer } from '../clock.ts';

interface FakeTimer {
  at: number;
  delay: number;
  fn: () => void;
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #wall: number;
  #monotonic = 0;
  /** In the order they were set, which decides among those of one moment. */
  readonly #timers = new Set<FakeTimer>();
  readonly #watchers = new Set<() => void>();

  /** @param start wall clock, milliseconds since the epoch or RFC 3339 */
  constructor(start: number | string = '2026-01-01T00:00:00Z') {
    this.#wall = typeof start === 'string' ? Date.parse(start) : start;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimeout(fn: () => void, ms: number): Timer {
    const timer: FakeTimer = { at: this.#monotonic + Math.max(ms, 0), delay: ms, fn };
    this.#timers.add(timer);
    for (const look of this.#watchers) look();
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** How many timers are set. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /**
   * Moves the time on by `ms`; timers fire in their order, each at its moment. What they resolve runs only after this
   * call.
   */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#moveTo(timer.at);
      timer.fn();
    }
    this.#moveTo(end);
  }

  /**
   * As {@link advance}, and lets everything that does not wait for the outside run after each timer, so that it may set
   * new ones.
   */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settled();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#moveTo(timer.at);
      timer.fn();
      await settled();
    }
    this.#moveTo(end);
    await settled();
  }

  /** The process was stopped, or its event loop blocked, for `ms`: time goes on and no timer fires. */
  freeze(ms: number): void {
    this.#moveTo(this.#monotonic + ms);
  }

  /** Sets the wall clock alone, as an administrator or NTP may. */
  setWall(ms: number): void {
    this.#wall = ms;
  }

  /** Resolves as soon as a timer is set whose delay lies between these bounds, both included, in milliseconds. */
  untilTimer(min: number, max = min): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        for (const { delay } of this.#timers) {
          if (delay < min || delay > max) continue;
          this.#watchers.delete(look);
          resolve();
          return;
        }
      };
      this.#watchers.add(look);
      look();
    });
  }

  #next(end: number): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
    }
    return next;
  }

  #moveTo(time: number): void {
    if (time <= this.#monotonic) return;
    this.#wall += time - this.#monotonic;
    this.#monotonic = time;
  }
}

/** Resolves when all promise jobs that are due have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
