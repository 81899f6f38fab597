import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { WorkQueue } from './work-queue.ts';

/** What a successful reconciliation asks for. */
export interface ReconcileResult {
  /** Look at the key again after this time, whatever happens until then. */
  requeueAfterMs?: number | undefined;
}

/**
 * Makes the world agree with what the object of this key says now. It is told the key only, never what happened: it
 * must look at everything itself, and be right when called too often. The signal is aborted at shutdown: begin nothing
 * new then.
 */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- an async function that returns nothing is a Promise<void>
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult | undefined | void>;

/** Thrown by a reconciliation that no retry can mend; only a change of the object makes it run again. */
export class TerminalError extends Error {
  override name = 'TerminalError';
}

export interface ControllerOptions {
  /** Label of metrics and logs. */
  name: string;
  queue: WorkQueue;
  reconcile: Reconcile;
  /** Reconciliations that may run at once; never two of one key. */
  concurrency: number;
  clock: Clock;
  logger?: Logger | undefined;
  metrics?: KubeMetrics | undefined;
}

/** Takes keys from a queue and reconciles them; a failed one comes back later. */
export class Controller {
  readonly #options: ControllerOptions;
  #active = 0;

  constructor(options: ControllerOptions) {
    this.#options = options;
    options.metrics?.set('maxConcurrentReconciles', { controller: options.name }, options.concurrency);
  }

  /** Works until the signal is aborted; resolves when the last running reconciliation is over. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.concurrency }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { queue } = this.#options;
    for (let key = await queue.get(signal); key !== undefined; key = await queue.get(signal)) {
      this.#setActive(1);
      await this.#reconcile(key, signal);
      this.#setActive(-1);
      queue.done(key);
    }
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { name, queue, reconcile, clock, logger, metrics } = this.#options;
    const started = clock.monotonic();
    let result: 'success' | 'requeue_after' | 'error' = 'success';
    try {
      const wish = await reconcile(key, signal);
      queue.forget(key);
      if (wish?.requeueAfterMs !== undefined) {
        result = 'requeue_after';
        queue.addAfter(key, wish.requeueAfterMs);
      }
    } catch (error) {
      if (signal.aborted) {
        // Most likely because we are stopping, and nobody will come back to it here: the next leader looks at every
        // key.
        logger?.info({ err: error, controller: name, key }, 'reconciliation broken off');
        return;
      }
      result = 'error';
      this.#failed(key, error);
    }
    metrics?.count('reconcileTotal', { controller: name, result });
    metrics?.observe('reconcileTime', { controller: name }, (clock.monotonic() - started) / 1000);
  }

  #failed(key: string, error: unknown): void {
    const { name, queue, logger, metrics } = this.#options;
    metrics?.count('reconcileErrors', { controller: name });
    if (error instanceof TerminalError) {
      metrics?.count('terminalReconcileErrors', { controller: name });
      queue.forget(key);
      logger?.error({ err: error, controller: name, key }, 'reconciliation failed for good');
      return;
    }
    queue.addRateLimited(key);
    const failures = queue.numRequeues(key);
    logger?.warn({ err: error, controller: name, key, failures }, 'reconciliation failed; it will be tried again');
  }

  #setActive(by: number): void {
    this.#active += by;
    this.#options.metrics?.set('activeWorkers', { controller: this.#options.name }, this.#active);
  }
}
