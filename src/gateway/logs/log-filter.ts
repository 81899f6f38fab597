import { z } from 'zod';
import type { LogLine } from '../../kube/log-lines.ts';
import type { Origin, ShownLine } from './log-line.ts';
import { page, unixSeconds } from '../routes/fields.ts';

const DEFAULT_LIMIT = 10;

/** What a log may be narrowed by. */
export const logQuery = z.looseObject({
  ...page,
  limit: z.coerce.number().int().min(1).max(10_000).optional(),
  // All lines up to the end of the page are kept while it is looked for.
  offset: z.coerce.number().int().min(0).max(40_000).optional(),
  deploymentId: z.string().max(64).optional(),
  sessionId: z.string().max(64).optional(),
  query: z.string().max(1000).optional(),
  order: z.enum(['asc', 'desc']).optional(),
  startTime: unixSeconds,
  endTime: unixSeconds,
  follow: z
    .enum(['true', 'false'])
    .optional()
    .describe('true: go on with what comes until the session is over, as lines of JSON. Needs sessionId.'),
});
export type LogQuery = z.output<typeof logQuery>;

/** A line, and where it is from. */
export interface Entry extends LogLine, Origin {}

/** What the lines up to the end of a page may take in memory: those of 100 characters all have room. Until some are dropped, twice as much. */
const MAX_KEPT_BYTES = 24 * 1024 * 1024;

/** Beside two for each character of it. */
const BYTES_OF_A_LINE = 200;

/** What a page may be at most, in bytes of JSON: a control character is six of them. */
const MAX_SHOWN_BYTES = 8 * 1024 * 1024;

interface Kept {
  line: ShownLine;
  /** In memory; infinite for the one with which there was no more room. */
  bytes: number;
  at: string;
  index: number;
}

/**
 * The lines that a query wants, of however many there are: only so many are kept as one page can show.
 */
export class LogPage {
  readonly #query: LogQuery;
  readonly #offset: number;
  readonly #room: number;
  #kept: Kept[] = [];
  /** Of what has been added since some of it was last dropped. */
  #bytes = 0;
  #total = 0;

  constructor(query: LogQuery, defaultLimit = DEFAULT_LIMIT) {
    this.#query = query;
    this.#offset = query.offset ?? 0;
    this.#room = this.#offset + (query.limit ?? defaultLimit);
  }

  /** How many lines there are that the query wants. */
  get total(): number {
    return this.#total;
  }

  /** Looks at one more line; they may come in any order. */
  add(entry: Entry): void {
    if (!isWanted(this.#query, entry)) return;
    const { text, ...rest } = entry;
    const bytes = 2 * text.length + BYTES_OF_A_LINE;
    this.#kept.push({ line: { log: text, ...rest }, bytes, at: sortable(entry.timestamp), index: this.#total });
    this.#total += 1;
    this.#bytes += bytes;
    // Now and then: to sort for each line would cost more than to keep some.
    if (this.#kept.length >= 2 * this.#room + 1000 || this.#bytes > MAX_KEPT_BYTES) this.#cut();
  }

  /** The lines of the page, in the order that was asked for, and whether it has fewer than it should: those that follow are too large. */
  get shown(): { lines: ShownLine[]; truncated: boolean } {
    this.#cut();
    const page = this.#kept.slice(this.#offset);
    const end = firstBeyond(page, MAX_SHOWN_BYTES, ({ line }) => Buffer.byteLength(JSON.stringify(line)) + 1);
    const truncated = end < page.length || this.#kept.length < Math.min(this.#total, this.#room);
    return { lines: page.slice(0, end).map(({ line }) => line), truncated };
  }

  #cut(): void {
    const sign = this.#query.order === 'asc' ? 1 : -1;
    // Lines of one moment stay in the order in which they were written.
    this.#kept.sort((a, b) => sign * (a.at < b.at ? -1 : a.at > b.at ? 1 : a.index - b.index));
    const end = firstBeyond(this.#kept, MAX_KEPT_BYTES, ({ bytes }) => bytes);
    const first = this.#kept[end];
    // What comes after it is not shown either when there is room again: there would be a gap.
    if (first !== undefined) first.bytes = Infinity;
    this.#kept.length = Math.min(this.#kept.length, end + 1, this.#room);
    this.#bytes = 0;
  }
}

/** The index of the line with which they are more than that; how many there are, if they are not. */
function firstBeyond(lines: readonly Kept[], maxBytes: number, sizeOf: (line: Kept) => number): number {
  let sum = 0;
  const index = lines.findIndex((line) => (sum += sizeOf(line)) > maxBytes);
  return index < 0 ? lines.length : index;
}

/** Whether a line is what the query asks for, whatever page it is on. */
export function isWanted(query: LogQuery, { timestamp, text, deploymentId }: Entry): boolean {
  const { startTime, endTime, deploymentId: wanted, query: needle = '' } = query;
  const seconds = Date.parse(timestamp) / 1000;
  return (
    (startTime === undefined || seconds >= startTime) &&
    (endTime === undefined || seconds <= endTime) &&
    (wanted === undefined || wanted === deploymentId) &&
    (needle === '' || text.toLowerCase().includes(needle.toLowerCase()))
  );
}

/** Two times in the order of these are in the order of their nanoseconds, which a Date does not have. */
function sortable(timestamp: string): string {
  const [, fraction = ''] = /[.](\d+)/.exec(timestamp) ?? [];
  const seconds = Math.floor(Date.parse(timestamp) / 1000);
  return `${String(seconds).padStart(12, '0')}.${fraction.padEnd(9, '0')}`;
}
