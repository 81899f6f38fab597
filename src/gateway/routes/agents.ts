import { z } from 'zod';
import { isActive } from '../../api/session-phase.ts';
import type { Session } from '../../api/session.ts';
import type { Clock } from '../../kube/clock.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import type { Agent } from '../../api/agent.ts';
import { INDEX } from '../caches.ts';
import type { AgentDirectory } from '../agents/agent-directory.ts';
import { agentCreation, agentUpdate } from '../agents/agent-settings.ts';
import { agentDetails, agentSummary, viewDeployment, viewDetails, viewSummary } from '../agents/agent-view.ts';
import type { AgentWriter, Written } from '../agents/agent-writer.ts';
import { parse } from '../http/app.ts';
import { onBoth, route, type Call, type Route } from '../http/route.ts';
import { Problem } from '../problems.ts';
import { OK, okReply, REGION } from './fields.ts';

const MAX_BYTES = 256 * 1024;

const noParams = z.looseObject({});
const named = z.looseObject({ agentName: z.string() });
const query = z.looseObject({});
const listQuery = z.looseObject({
  region: z.string().optional(),
  includeActiveDeployment: z.string().optional().describe('`true`: with the deployment of each.'),
});
const listReply = z.object({ services: z.array(agentSummary) });
const wrapped = z.object({ body: agentDetails });
const warning = z.string().optional().describe('What whoever deploys should know.');
const deployReply = agentDetails.extend({ warning });
const wrappedDeployReply = wrapped.extend({ warning });

export interface AgentDeps {
  directory: AgentDirectory;
  writer: AgentWriter;
  sessions: Store<Session>;
  clock: Clock;
}

type NamedCall = Call<z.output<typeof named>, unknown>;
type AnyCall = Call<unknown, unknown>;

/** Agents, for private keys and, under other paths and in another wrapping, for the official command line. */
export function agentRoutes(deps: AgentDeps): Route[] {
  const { directory, writer } = deps;
  const details = (agent: Agent): z.output<typeof agentDetails> =>
    viewDetails(agent, activeSessions(deps, agent), deps.clock.now());
  const show = async ({ organization, params }: NamedCall) => {
    // Whoever deploys looks for what another replica has written a moment ago: what it was before would pass for done.
    // One version of their client ends with a crash when there is no answer.
    const agent = await directory.latest(organization, params.agentName);
    if (agent === undefined) throw new Problem('ServiceNotFound');
    return details(agent);
  };
  const list = ({ organization, query: wanted }: Call<unknown, z.output<typeof listQuery>>) => {
    const isElsewhere = wanted.region !== undefined && wanted.region !== REGION;
    const withDeployment = wanted.includeActiveDeployment === 'true';
    const services = (isElsewhere ? [] : directory.list(organization)).map((agent) => ({
      ...viewSummary(agent),
      ...(withDeployment && { deployment: viewDeployment(agent) }),
    }));
    return Promise.resolve({ body: { services } });
  };
  const create = async ({ organization, readJson }: AnyCall): Promise<Written> => {
    const given = parse(agentCreation, (await readJson(MAX_BYTES)).value);
    return await writer.create(organization, given.serviceName, given);
  };
  const update = async (call: AnyCall, name?: string): Promise<Written> => {
    const given = parse(agentUpdate, (await call.readJson(MAX_BYTES)).value);
    const named = name ?? given.serviceName;
    if (named === undefined) throw new Problem('BadRequest', { error: 'Invalid parameters: serviceName: is required' });
    if (given.serviceName !== undefined && given.serviceName !== named)
      throw new Problem('BadRequest', { error: 'Invalid parameters: serviceName: an agent cannot be renamed' });
    return await writer.update(call.organization, named, given);
  };
  const deployed = ({ agent, warning: text }: Written) => ({
    body: details(agent),
    ...(text !== undefined && { warning: text }),
  });
  const ownDeployed = (written: Written) => {
    const { body, ...more } = deployed(written);
    return { ...body, ...more };
  };
  const remove = async ({ organization, params }: NamedCall) => {
    await writer.delete(organization, params.agentName);
    return { body: OK };
  };
  const org = '/v1/organizations/:org/services';
  const at = { own: '/v1/agents', org };
  const oneAt = { own: '/v1/agents/:agentName', org: `${org}/:agentName` };
  const reads = { access: { verb: 'get', resource: 'agents' } } as const;
  const problems = ['BadRequest', 'ServiceNotFound', 'Conflict'] as const;
  const one = { params: named, query };
  const all = { params: noParams, query };
  return [
    ...onBoth(at, {
      method: 'get',
      access: { verb: 'list', resource: 'agents' },
      summary: 'List agents',
      params: noParams,
      query: listQuery,
      reply: listReply,
      problems: [],
      handle: list,
    }),
    route({
      method: 'post',
      path: '/v1/agents',
      plane: 'private',
      summary: 'Deploy a new agent',
      ...all,
      body: agentCreation,
      reply: deployReply,
      problems,
      handle: async (call) => ({ body: ownDeployed(await create(call)) }),
    }),
    route({
      method: 'post',
      path: org,
      plane: 'organization',
      access: { verb: 'create', resource: 'agents' },
      summary: 'Deploy a new agent',
      ...all,
      body: agentCreation,
      reply: wrappedDeployReply,
      problems,
      handle: async (call) => ({ body: deployed(await create(call)) }),
    }),
    route({
      method: 'put',
      path: org,
      plane: 'organization',
      access: { verb: 'patch', resource: 'agents' },
      summary: 'Deploy a new version of an agent, which is named in the body',
      ...all,
      body: agentUpdate,
      reply: wrappedDeployReply,
      problems,
      handle: async (call) => ({ body: deployed(await update(call)) }),
    }),
    route({
      method: 'get',
      path: '/v1/agents/:agentName',
      plane: 'private',
      summary: 'Show an agent',
      ...one,
      reply: agentDetails,
      problems: ['ServiceNotFound'],
      handle: async (call) => ({ body: await show(call) }),
    }),
    route({
      method: 'get',
      path: `${org}/:agentName`,
      plane: 'organization',
      ...reads,
      summary: 'Show an agent',
      ...one,
      reply: wrapped,
      problems: ['ServiceNotFound'],
      handle: async (call) => ({ body: { body: await show(call) } }),
    }),
    route({
      method: 'post',
      path: '/v1/agents/:agentName',
      plane: 'private',
      summary: 'Change an agent',
      ...one,
      body: agentUpdate,
      reply: deployReply,
      problems,
      handle: async (call) => ({ body: ownDeployed(await update(call, call.params.agentName)) }),
    }),
    ...onBoth(oneAt, {
      method: 'delete',
      access: { verb: 'delete', resource: 'agents' },
      summary: 'Delete an agent; its sessions go on',
      ...one,
      reply: okReply,
      problems: ['ServiceNotFound'],
      handle: remove,
    }),
  ];
}

function activeSessions({ sessions }: AgentDeps, agent: Agent): number {
  return sessions.byIndex(INDEX.openByAgent, keyOf(agent)).filter(isActive).length;
}
