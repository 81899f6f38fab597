const newline = 0x0a;

/**
 * Cuts a stream of bytes into lines. Works on bytes and hands out whole lines, so a chunk that ends inside a multi-byte
 * character is harmless. An unfinished line is kept up to `maxBytes`.
 */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #tooLong: 'fail' | 'cut';
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** @param tooLong what becomes of a line that is longer than `maxBytes`: a RangeError, or as much of it as is allowed */
  constructor(maxBytes: number, tooLong: 'fail' | 'cut' = 'fail') {
    this.#maxBytes = maxBytes;
    this.#tooLong = tooLong;
  }

  /** The lines that this chunk completes, without their newline. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      yield this.#take();
    }
    this.#keep(chunk.subarray(start));
  }

  /** What came after the last newline, if anything did. */
  *end(): Generator<string> {
    if (this.#pendingBytes > 0) yield this.#take();
  }

  #keep(part: Buffer): void {
    const room = this.#maxBytes - this.#pendingBytes;
    if (part.length > room && this.#tooLong === 'fail')
      throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`);
    if (part.length === 0 || room === 0) return;
    // A copy where little is kept: the chunk that it is of may be a hundred times as large.
    this.#pending.push(this.#tooLong === 'cut' ? Buffer.from(part.subarray(0, room)) : part);
    this.#pendingBytes += Math.min(part.length, room);
  }

  #take(): string {
    const [only] = this.#pending;
    const line = this.#pending.length === 1 && only ? only : Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    return line.toString('utf8');
  }
}
