import { z } from 'zod';
import type { AgentDirectory } from '../agents/agent-directory.ts';
import { onBoth, type Call, type Route } from '../http/route.ts';
import type { Session } from '../../api/session.ts';
import { logQuery, type LogQuery } from '../logs/log-filter.ts';
import type { LogFollower } from '../logs/log-follower.ts';
import type { LogReader } from '../logs/log-reader.ts';
import { Problem } from '../problems.ts';
import type { SessionDirectory } from '../sessions/session-directory.ts';

const params = z.looseObject({ agentName: z.string() });
const line = z.object({
  log: z.string(),
  timestamp: z.string(),
  deploymentId: z.string().nullable(),
  sessionId: z.string().nullable(),
});
const reply = z.object({
  total: z.object({ value: z.int(), relation: z.enum(['eq', 'gte']) }),
  logs: z.array(line),
  truncated: z
    .boolean()
    .describe(
      'There was more: a node serves only the newest file of a log, 10 MiB unless its kubelet says otherwise. Or the page is too large, and has its first lines.',
    ),
});

const DEFAULT_LIMIT = 10;

export interface LogDeps {
  reader: LogReader;
  follower: LogFollower;
  sessions: SessionDirectory;
  agents: AgentDirectory;
}

/** What agents have written. */
export function logRoutes({ reader, follower, sessions, agents }: LogDeps): Route[] {
  const paths = { own: '/v1/agents/:agentName/logs', org: '/v1/organizations/:org/services/:agentName/logs' };
  return onBoth(paths, {
    method: 'get',
    access: { verb: 'list', resource: 'sessions' },
    summary: 'Read what an agent has written, the newest lines first',
    params,
    query: logQuery,
    reply,
    line,
    problems: ['BadRequest', 'AgentNotFound', 'SessionNotFound'],
    async handle({
      organization,
      params: { agentName },
      query,
      signal,
    }: Call<z.output<typeof params>, z.output<typeof logQuery>>) {
      const { sessionId } = query;
      const session = sessionId === undefined ? undefined : await sessions.get(organization, agentName, sessionId);
      if (query.follow === 'true') return { lines: follower.follow(checkFollow(session, query), query, signal) };
      const known = sessions.ofAgent(organization, agentName);
      if (session === undefined && known.length === 0 && (await agents.find(organization, agentName)) === undefined)
        throw new Problem('AgentNotFound');
      const find = (uid: string) => known.find(({ metadata }) => metadata.uid === uid);
      const where = { namespace: organization, agent: agentName };
      return { body: await reader.read(where, query, { session, find, defaultLimit: DEFAULT_LIMIT }, signal) };
    },
  });
}

/** @throws Problem BadRequest where nobody could tell what is to come, or when it is over */
function checkFollow(session: Session | undefined, { order, offset, endTime }: LogQuery): Session {
  const wrong = { 'order=desc': order === 'desc', offset: offset !== undefined, endTime: endTime !== undefined };
  const [which] = Object.entries(wrong).find(([, isWrong]) => isWrong) ?? [];
  if (which !== undefined) throw new Problem('BadRequest', { error: `Invalid parameters: follow: not with ${which}` });
  if (session === undefined) throw new Problem('BadRequest', { error: 'Invalid parameters: follow: needs sessionId' });
  return session;
}
