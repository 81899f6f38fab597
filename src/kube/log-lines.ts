import { LineSplitter } from './line-splitter.ts';

/** One line of a container's log, as `kubectl logs --timestamps` shows it. */
export interface LogLine {
  /** RFC 3339 with nanoseconds, by the node's clock. */
  timestamp: string;
  text: string;
}

const carriageReturn = '\r';

/**
 * Cuts a log into lines. One that is longer than `maxBytes` is cut off: an agent may write what it likes, and nobody's memory is to pay
 * for it.
 */
export class LogLines {
  readonly #lines: LineSplitter;

  constructor(maxBytes: number) {
    this.#lines = new LineSplitter(maxBytes, 'cut');
  }

  *push(chunk: Buffer): Generator<LogLine> {
    for (const line of this.#lines.push(chunk)) yield read(line);
  }

  /** What came after the last newline, if anything did. */
  *end(): Generator<LogLine> {
    for (const line of this.#lines.end()) yield read(line);
  }
}

function read(line: string): LogLine {
  const space = line.indexOf(' ');
  const [timestamp, text] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
  return { timestamp, text: text.endsWith(carriageReturn) ? text.slice(0, -1) : text };
}
