import type { Session } from '../../api/session.ts';
import { WINDOW_MS, type Retry } from './idempotency.ts';
import { isRefused } from './start-verdict.ts';

/** How many Sessions one Idempotency-Key may have had that are still there: one in each of its windows. */
const MAX_NAMES = 32;

/** Which name the Session of a key has, or is to have. */
export interface RetryName {
  name: string;
  /** Sessions of earlier windows for which names before that one were passed over. */
  over: Session[];
}

/**
 * The name of a Session that is young, wherever it is: those before it may have become free since it was made. Else the first one that no
 * earlier window holds. Undefined when all are held.
 *
 * @param known what is known to have a name; making, when that is made at this moment
 */
export function nameOf(
  retry: Retry,
  known: (name: string) => Session | 'making' | undefined,
  now: number,
): RetryName | undefined {
  const names = Array.from({ length: MAX_NAMES }, (_, attempt) => retry.name(attempt));
  const found = names.map(known);
  const young = found.findIndex((it) => it === 'making' || (it !== undefined && !isRefused(it) && isYoung(it, now)));
  const next = young === -1 ? found.findIndex((it) => it === undefined || it === 'making' || isRefused(it)) : young;
  const name = names[next];
  if (name === undefined) return undefined;
  return { name, over: young === -1 ? found.slice(0, next).filter((it) => it !== undefined && it !== 'making') : [] };
}

/** Whether a Session is still what its key stands for. */
export function isYoung({ metadata }: Session, now: number): boolean {
  return now - Date.parse(metadata.creationTimestamp) <= WINDOW_MS;
}
