import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { abortable } from '../kube/clock.ts';

/**
 * Lines on their way to whoever reads standard output or standard error. A pipe takes some ten thousand bytes at a time; all else waits in
 * this process, and is lost with it.
 */
export class LineWriter {
  readonly #stream: Writable;
  readonly #signal: AbortSignal;

  /** @param signal aborted when nobody is to wait for the reader any more */
  constructor(stream: Writable, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
  }

  /** Resolves when there is room for more. Whoever writes on and on without waiting for it fills the memory. */
  async write(line: string): Promise<void> {
    if (this.#stream.write(`${line}\n`)) return;
    // A stream that fails tells its own listener; an abort is no failure of ours.
    await once(this.#stream, 'drain', { signal: this.#signal }).catch(() => undefined);
  }

  /** Resolves when all has left: the process may end. */
  async flushed(): Promise<void> {
    // What is written last leaves last. `drain` comes only from a stream that had no more room.
    const left = new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
    await abortable(left, this.#signal).catch(() => undefined);
  }
}
