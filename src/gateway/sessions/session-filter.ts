import { z } from 'zod';
import { page, unixSeconds } from '../routes/fields.ts';
import type { SessionView } from './session-view.ts';

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
  all: readonly SessionView[],
  query: SessionQuery,
  defaultLimit = DEFAULT_LIMIT,
): { total: number; sessions: SessionView[] } {
  const { limit = defaultLimit, offset = 0, status = 'all' } = query;
  const wanted = all.filter(
    (session) =>
      (status === 'all' || (session.endedAt === null) === (status === 'active')) &&
      isWithin(Date.parse(session.createdAt) / 1000, query.startTime, query.endTime) &&
      isStartType(session, query.startType) &&
      isStartTime(session, query) &&
      (query.endState === undefined || session.endState === query.endState) &&
      (query.deploymentId === undefined || session.deploymentId === query.deploymentId),
  );
  return { total: wanted.length, sessions: wanted.slice(offset, offset + limit) };
}

function isWithin(value: number, least: number | undefined, most: number | undefined): boolean {
  return (least === undefined || value >= least) && (most === undefined || value <= most);
}

function isStartType({ coldStart }: SessionView, wanted: SessionQuery['startType'] = 'all'): boolean {
  return wanted === 'all' || coldStart === (wanted === 'cold');
}

/** One that has not started has no time, and is in only where nobody asks for one. */
function isStartTime({ botStartSeconds }: SessionView, { startTimeMin, startTimeMax }: SessionQuery): boolean {
  if ((startTimeMin ?? 0) === 0 && startTimeMax === undefined) return true;
  return botStartSeconds !== null && isWithin(botStartSeconds, startTimeMin, startTimeMax);
}
