import { z } from 'zod';
import type { AgentDirectory } from '../agents/agent-directory.ts';
import type { DeploymentDirectory } from '../agents/deployment-directory.ts';
import type { Deployment } from '../agents/deployment-view.ts';
import { route, type Route } from '../http/route.ts';
import { page } from './fields.ts';

const params = z.looseObject({ agentName: z.string() });
const query = z.looseObject(page);
const deployment = z.object({
  id: z.string(),
  serviceId: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  manifest: z.looseObject({ spec: z.looseObject({ image: z.string(), dailyNodeType: z.string() }) }),
});
const reply = z.object({ deployments: z.array(deployment) });

/** On one page, whoever asks for more: the official client reads only what comes in one piece, head and all. */
const MOST = 20;

export interface DeploymentDeps {
  agents: AgentDirectory;
  directory: DeploymentDirectory;
}

/** What has been deployed of an agent. */
export function deploymentRoutes({ agents, directory }: DeploymentDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/organizations/:org/services/:agentName/deployments',
      plane: 'organization',
      access: { verb: 'get', resource: 'agents' },
      summary: 'List the deployments of an agent, the newest first',
      params,
      query,
      reply,
      problems: ['BadRequest', 'AgentNotFound'],
      async handle({ organization, params: { agentName }, query: { limit = MOST, offset = 0 } }) {
        const all = await directory.ofAgent(await agents.get(organization, agentName));
        return { body: { deployments: all.slice(offset, offset + Math.min(limit, MOST)).map(withNodeType) } };
      },
    }),
  ];
}

/** Where it runs, as the official client shows it: a cluster has whatever nodes it has. */
function withNodeType({ manifest, ...rest }: Deployment): z.output<typeof deployment> {
  return { ...rest, manifest: { ...manifest, spec: { ...manifest.spec, dailyNodeType: 'any' } } };
}
