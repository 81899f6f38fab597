import { z } from 'zod';
import type { Session } from '../../api/session.ts';
import { isFinished } from '../../api/session-phase.ts';
import { page, unixSeconds } from '../routes/fields.ts';
import { deploymentOf, endStateOf, startSecondsOf } from './session-view.ts';

/** How many Sessions a list has when nobody says. */
const DEFAULT_LIMIT = 10;

const seconds = z.coerce.number().min(0).max(1_000_000).optional();

/** What a list of sessions may be narrowed by. */
export const sessionQuery = z.looseObject({
  ...page,
  startTime: unixSeconds,
  endTime: unixSeconds,
  status: z.enum(['active', 'ended', 'all']).optional(),
  startType: z.enum(['cold', 'warm', 'all']).optional(),
  startTimeMin: seconds,
  startTimeMax: seconds,
  endState: z.string().max(64).optional(),
  deploymentId: z.string().max(64).optional(),
});
export type SessionQuery = z.output<typeof sessionQuery>;

/** The sessions that a query wants, of those that there are, in their order; and how many that would be without paging. */
export function selectSessions(
  all: readonly Session[],
  query: SessionQuery,
  defaultLimit = DEFAULT_LIMIT,
): { total: number; sessions: Session[] } {
  const { limit = defaultLimit, offset = 0, status = 'all' } = query;
  const wanted = all.filter(
    (session) =>
      (status === 'all' || isFinished(session) === (status === 'ended')) &&
      isWithin(Date.parse(session.metadata.creationTimestamp) / 1000, query.startTime, query.endTime) &&
      isStartType(session, query.startType) &&
      isStartTime(session, query) &&
      (query.endState === undefined || endStateOf(session) === query.endState) &&
      (query.deploymentId === undefined || deploymentOf(session) === query.deploymentId),
  );
  return { total: wanted.length, sessions: wanted.slice(offset, offset + limit) };
}

function isWithin(value: number, least: number | undefined, most: number | undefined): boolean {
  return (least === undefined || value >= least) && (most === undefined || value <= most);
}

function isStartType({ status }: Session, wanted: SessionQuery['startType'] = 'all'): boolean {
  return wanted === 'all' || status?.startKind === (wanted === 'cold' ? 'Cold' : 'Warm');
}

/** One that has not started has no time, and is in only where nobody asks for one. */
function isStartTime(session: Session, { startTimeMin, startTimeMax }: SessionQuery): boolean {
  if ((startTimeMin ?? 0) === 0 && startTimeMax === undefined) return true;
  const seconds = startSecondsOf(session);
  return seconds !== undefined && isWithin(seconds, startTimeMin, startTimeMax);
}
