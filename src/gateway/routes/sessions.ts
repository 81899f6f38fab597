import { z } from 'zod';
import type { AgentDirectory } from '../agents/agent-directory.ts';
import { onBoth, route, type Call, type Route } from '../http/route.ts';
import { Problem } from '../problems.ts';
import type { SessionDirectory } from '../sessions/session-directory.ts';
import { selectSessions, sessionQuery } from '../sessions/session-filter.ts';
import { sessionDetails, sessionView, viewSession, viewSessionDetails } from '../sessions/session-view.ts';

const ofAgent = z.looseObject({ agentName: z.string() });
const ofSession = z.looseObject({ agentName: z.string(), sessionId: z.string() });
const query = z.looseObject({});
const listReply = z.object({ total_count: z.int(), sessions: z.array(sessionView) });
const stopReply = z.object({ status: z.literal('terminated'), session_id: z.string() });

/** The official command line sends no limit, and shows what it gets. */
const CLI_LIMIT = 100;

export interface SessionDeps {
  directory: SessionDirectory;
  agents: AgentDirectory;
}

/** Sessions, also of an Agent that is gone: they outlive it, and somebody has to be able to stop them. */
export function sessionRoutes({ directory, agents }: SessionDeps): Route[] {
  const serviceId = (organization: string, agent: string): string | undefined =>
    agents.known(organization, agent)?.metadata.uid;
  const list =
    (limit?: number) =>
    async ({ organization, params, query: wanted }: Call<z.output<typeof ofAgent>, z.output<typeof sessionQuery>>) => {
      const { agentName } = params;
      const all = directory.ofAgent(organization, agentName);
      if (all.length === 0 && (await agents.find(organization, agentName)) === undefined)
        throw new Problem('AgentNotFound');
      const id = serviceId(organization, agentName);
      const { total, sessions } = selectSessions(all, wanted, limit);
      return { body: { total_count: total, sessions: sessions.map((session) => viewSession(session, id)) } };
    };
  type SessionCall = Call<z.output<typeof ofSession>, unknown>;
  const show = async ({ organization, params }: SessionCall) => {
    const session = await directory.get(organization, params.agentName, params.sessionId);
    return { body: viewSessionDetails(session, serviceId(organization, params.agentName)) };
  };
  const stop = async ({ organization, params }: SessionCall) => {
    await directory.stop(organization, params.agentName, params.sessionId);
    return { body: { status: 'terminated' as const, session_id: params.sessionId } };
  };
  const org = '/v1/organizations/:org/services';
  const own = '/v1/agents';
  const oneAt = { own: `${own}/:agentName/sessions/:sessionId`, org: `${org}/:agentName/sessions/:sessionId` };
  const one = { params: ofSession, query, problems: ['BadRequest', 'SessionNotFound'] as const };
  const listing = {
    params: ofAgent,
    query: sessionQuery,
    queryProblem: 'InvalidQuery' as const,
    reply: listReply,
    problems: ['InvalidQuery', 'AgentNotFound'] as const,
  };
  return [
    route({
      method: 'get',
      path: `${own}/:agentName/sessions`,
      plane: 'private',
      summary: 'List sessions, the newest first',
      ...listing,
      handle: list(),
    }),
    route({
      method: 'get',
      path: `${org}/:agentName/sessions`,
      plane: 'organization',
      access: { verb: 'list', resource: 'sessions' },
      summary: 'List sessions, the newest first',
      ...listing,
      handle: list(CLI_LIMIT),
    }),
    ...onBoth(oneAt, {
      method: 'get',
      access: { verb: 'get', resource: 'sessions' },
      summary: 'Show a session',
      ...one,
      reply: sessionDetails,
      handle: show,
    }),
    ...onBoth(oneAt, {
      method: 'delete',
      access: { verb: 'patch', resource: 'sessions' },
      summary: 'Stop a session at once',
      ...one,
      reply: stopReply,
      handle: stop,
    }),
  ];
}
