import type { Clock, Timer } from '../../src/kube/clock.ts';

/**
 * A process of the controller, as far as it can be stopped from outside: everything that reaches it (replies, events, timers)
 * comes through `enter`, so that a dead process never does anything again and a paused one does it all when it goes on.
 */
export class Process {
  readonly name: string;
  readonly clock: Clock;
  #state: 'running' | 'paused' | 'dead' = 'running';
  #waiting: (() => void)[] = [];

  /** @param skewMs how far its wall clock is ahead of the world's */
  constructor(name: string, world: Clock, skewMs: number) {
    this.name = name;
    this.clock = {
      now: () => world.now() + skewMs,
      monotonic: () => world.monotonic(),
      setTimeout: (fn: () => void, ms: number): Timer => {
        let cancelled = false;
        // Node's timers know whole milliseconds only, as `Date.now()` does.
        const timer = world.setTimeout(() => this.enter(() => (cancelled ? undefined : fn())), Math.ceil(ms));
        return {
          cancel: () => {
            cancelled = true;
            timer.cancel();
          },
        };
      },
    };
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  get isPaused(): boolean {
    return this.#state === 'paused';
  }

  enter(fn: () => void): void {
    if (this.#state === 'running') fn();
    else if (this.#state === 'paused') this.#waiting.push(fn);
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fn of waiting) fn();
  }

  kill(): void {
    this.#state = 'dead';
    this.#waiting = [];
  }
}
