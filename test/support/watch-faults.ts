import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Faults of the watches of one resource. They hold for the watches that run and for those that begin later. */
export class WatchFaults {
  /** Every event comes so much later. */
  delayMs = 0;
  #open = Promise.withResolvers<undefined>();
  #muted = new WeakSet<ServerResponse>();
  readonly #running = new Set<ServerResponse>();

  constructor() {
    this.#open.resolve(undefined);
  }

  /** How many run now. */
  get running(): number {
    return this.#running.size;
  }

  /** From now on events are held back, as if they were still on their way; {@link thaw} delivers them. */
  freeze(): void {
    this.#open = Promise.withResolvers<undefined>();
  }

  thaw(): void {
    this.#open.resolve(undefined);
  }

  /** Those that run now stay open and never say anything again: the other end is gone without a word. */
  mute(): void {
    for (const response of this.#running) this.#muted.add(response);
  }

  /** Breaks the connections of those that run now. */
  cut(): void {
    for (const response of this.#running) response.destroy();
  }

  /** Ends those that run now with an event. By default with 410, as when the server has forgotten their version. */
  endWith(code = 410, reason = 'Expired'): void {
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: 'said the proxy' };
    for (const response of this.#running) response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  /** Passes one watch on until either side ends it. Reads on while frozen, so that the server never waits for us. */
  async relay(events: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
    this.#running.add(response);
    response.on('close', () => this.#running.delete(response));
    let written: Promise<unknown> = Promise.resolve();
    const later = (write: () => unknown): void => {
      const { delayMs } = this;
      const due = delayMs === 0 ? undefined : sleep(delayMs);
      written = written
        .then(() => due)
        .then(() => this.#open.promise)
        .then(write);
    };
    for await (const chunk of events) {
      later(() => this.#muted.has(response) || response.destroyed || response.writableEnded || response.write(chunk));
    }
    later(() => this.#muted.has(response) || response.end());
    await written;
  }
}
