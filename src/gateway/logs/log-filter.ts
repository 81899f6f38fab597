import { z } from 'zod';
import type { LogLine } from '../../kube/log-lines.ts';
import type { Origin } from './log-line.ts';
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

/**
 * The lines that a query wants, of however many there are: only so many are kept as one page can show.
 */
export class LogPage {
  readonly #query: LogQuery;
  readonly #offset: number;
  readonly #room: number;
  #kept: { entry: Entry; at: string; index: number }[] = [];
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
    this.#kept.push({ entry, at: sortable(entry.timestamp), index: this.#total });
    this.#total += 1;
    // Now and then: to sort for each line would cost more than to keep some.
    if (this.#kept.length >= 2 * this.#room + 1000) this.#cut();
  }

  /** The lines of the page, in the order that was asked for. */
  get lines(): Entry[] {
    this.#cut();
    return this.#kept.slice(this.#offset).map(({ entry }) => entry);
  }

  #cut(): void {
    const sign = this.#query.order === 'asc' ? 1 : -1;
    // Lines of one moment stay in the order in which they were written.
    this.#kept.sort((a, b) => sign * (a.at < b.at ? -1 : a.at > b.at ? 1 : a.index - b.index));
    this.#kept.length = Math.min(this.#kept.length, this.#room);
  }
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
