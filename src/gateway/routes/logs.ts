import { z } from 'zod';
import type { AgentDirectory } from '../agents/agent-directory.ts';
import { onBoth, type Call, type Route } from '../http/route.ts';
import { logQuery } from '../logs/log-filter.ts';
import type { LogReader } from '../logs/log-reader.ts';
import { Problem } from '../problems.ts';
import type { SessionDirectory } from '../sessions/session-directory.ts';

const params = z.looseObject({ agentName: z.string() });
const reply = z.object({
  total: z.object({ value: z.int(), relation: z.enum(['eq', 'gte']) }),
  logs: z.array(
    z.object({
      log: z.string(),
      timestamp: z.string(),
      deploymentId: z.string().nullable(),
      sessionId: z.string().nullable(),
    }),
  ),
  truncated: z
    .boolean()
    .describe('There was more: a node serves only the newest file of a log, 10 MiB unless its kubelet says otherwise.'),
});

const DEFAULT_LIMIT = 10;

export interface LogDeps {
  reader: LogReader;
  sessions: SessionDirectory;
  agents: AgentDirectory;
}

/** What agents have written. */
export function logRoutes({ reader, sessions, agents }: LogDeps): Route[] {
  const paths = { own: '/v1/agents/:agentName/logs', org: '/v1/organizations/:org/services/:agentName/logs' };
  return onBoth(paths, {
    method: 'get',
    access: { verb: 'list', resource: 'sessions' },
    summary: 'Read what an agent has written, the newest lines first',
    params,
    query: logQuery,
    reply,
    problems: ['BadRequest', 'AgentNotFound', 'SessionNotFound'],
    async handle({
      organization,
      params: { agentName },
      query,
      signal,
    }: Call<z.output<typeof params>, z.output<typeof logQuery>>) {
      const { sessionId } = query;
      const session = sessionId === undefined ? undefined : await sessions.get(organization, agentName, sessionId);
      const known = sessions.ofAgent(organization, agentName);
      if (session === undefined && known.length === 0 && (await agents.find(organization, agentName)) === undefined)
        throw new Problem('AgentNotFound');
      const find = (uid: string) => known.find(({ metadata }) => metadata.uid === uid);
      const where = { namespace: organization, agent: agentName };
      return { body: await reader.read(where, query, { session, find, defaultLimit: DEFAULT_LIMIT }, signal) };
    },
  });
}
