/** One line of a container's log, as `kubectl logs --timestamps` shows it. */
export interface LogLine {
  /** RFC 3339 with nanoseconds, by the node's clock. */
  timestamp: string;
  text: string;
}

const newline = 0x0a;
const carriageReturn = '\r';

/**
 * Cuts a log into lines. One that is longer than `maxBytes` is cut off: an agent may write what it likes, and nobody's memory is to pay
 * for it.
 */
export class LogLines {
  readonly #maxBytes: number;
  #pending: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *push(chunk: Buffer): Generator<LogLine> {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      yield this.#take();
    }
    this.#keep(chunk.subarray(start));
  }

  /** What came after the last newline, if anything did. */
  *end(): Generator<LogLine> {
    if (this.#bytes > 0) yield this.#take();
  }

  #keep(part: Buffer): void {
    const room = this.#maxBytes - this.#bytes;
    if (room <= 0 || part.length === 0) return;
    // A copy: the chunk that it is of may be a hundred times as large.
    this.#pending.push(Buffer.from(part.subarray(0, room)));
    this.#bytes += Math.min(part.length, room);
  }

  #take(): LogLine {
    const line = Buffer.concat(this.#pending, this.#bytes).toString('utf8');
    this.#pending = [];
    this.#bytes = 0;
    const space = line.indexOf(' ');
    const [timestamp, text] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    return { timestamp, text: text.endsWith(carriageReturn) ? text.slice(0, -1) : text };
  }
}
