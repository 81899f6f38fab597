import type { EventEmitter } from 'node:events';
import { abortReason, settlesWithin, type Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface LifecycleOptions {
  clock: Clock;
  logger?: Logger | undefined;
  /** All stops together may take this long, milliseconds. Keep it below the pod's `terminationGracePeriodSeconds`. */
  deadlineMs: number;
}

interface Part {
  name: string;
  stop: () => Promise<void> | void;
}

/**
 * The parts of a program and the order in which they stop: the last one added first, each after the one before has
 * stopped, so that a part can rely until its end on those that were there before it.
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #parts: Part[] = [];

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  add(name: string, stop: () => Promise<void> | void): void {
    this.#parts.push({ name, stop });
  }

  /**
   * Waits until the signal is aborted, then stops everything. A part that fails does not keep the others from stopping.
   * Resolves with the names of the parts that failed, or had not stopped when the deadline passed; never rejects.
   */
  async run(signal: AbortSignal): Promise<string[]> {
    if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    const { clock, logger, deadlineMs } = this.#options;
    logger?.info({ reason: abortReason(signal).message }, 'stopping');
    const deadline = clock.monotonic() + deadlineMs;
    const unstopped: string[] = [];
    for (const { name, stop } of this.#parts.toReversed()) {
      const stopping = (async () => stop())().catch((error: unknown) => {
        logger?.error({ err: error, part: name }, 'stopping a part failed');
        unstopped.push(name);
      });
      // Past the deadline each is still told to stop; nobody waits for it.
      const inTime = await settlesWithin(clock, stopping, Math.max(deadline - clock.monotonic(), 0));
      if (inTime) continue;
      logger?.error({ part: name }, 'a part did not stop in time');
      unstopped.push(name);
    }
    return unstopped;
  }
}

/**
 * A signal that is aborted when the process is told to end (SIGTERM, SIGINT). Told again, Node ends the process at
 * once.
 */
export function terminationSignal(process: Pick<EventEmitter, 'once'>): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT']) {
    process.once(name, () => controller.abort(new Error(`received ${name}`)));
  }
  return controller.signal;
}
