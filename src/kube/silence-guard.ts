import { abortReason, type Clock, type Timer } from './clock.ts';

/** A signal that is aborted when nothing has been heard for too long, or when the outer one is. */
export class SilenceGuard {
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #outer: AbortSignal;
  readonly #own = new AbortController();
  #heardAt: number;
  #timer: Timer;
  /** Whether it was silence that aborted the signal. */
  wasSilent = false;

  constructor(clock: Clock, silenceMs: number, outer: AbortSignal) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#outer = outer;
    this.#heardAt = clock.monotonic();
    this.#timer = clock.setTimeout(this.#check, silenceMs);
    if (outer.aborted) this.#onOuter();
    outer.addEventListener('abort', this.#onOuter, { once: true });
  }

  get signal(): AbortSignal {
    return this.#own.signal;
  }

  heard(): void {
    this.#heardAt = this.#clock.monotonic();
  }

  /** Aborts the signal. */
  stop(reason: Error): void {
    this.#own.abort(reason);
  }

  /** Listens no more. */
  end(): void {
    this.#timer.cancel();
    this.#outer.removeEventListener('abort', this.#onOuter);
  }

  /** One timer, set anew only when it fires. */
  readonly #check = (): void => {
    const left = this.#heardAt + this.#silenceMs - this.#clock.monotonic();
    if (left > 0) {
      this.#timer = this.#clock.setTimeout(this.#check, left);
      return;
    }
    this.wasSilent = true;
    this.#own.abort(new Error(`the server said nothing for ${this.#silenceMs} ms`));
  };

  readonly #onOuter = (): void => this.#own.abort(abortReason(this.#outer));
}
