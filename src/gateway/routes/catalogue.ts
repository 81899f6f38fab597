import { z } from 'zod';
import { profiles } from '../../api/limits.ts';
import { route, type Route } from '../http/route.ts';

const params = z.looseObject({});
const query = z.looseObject({});

const profilesReply = z.object({
  agentProfiles: z.array(
    z.object({
      api_name: z.string(),
      display_name: z.string(),
      resources: z.object({ cpu: z.string(), memory: z.string() }),
      custom: z.boolean(),
      enabled: z.boolean(),
    }),
  ),
});
const buildsReply = z.object({ builds: z.array(z.never()), total: z.literal(0) });
const registryKeysReply = z.object({ registry_keys: z.array(z.never()) });

/** Lists of what the official command line asks for: the profiles that there are, and what there is none of. */
export function catalogueRoutes(): Route[] {
  const org = '/v1/organizations/:org';
  const list = {
    method: 'get',
    plane: 'organization',
    access: { verb: 'list', resource: 'agents' },
    params,
    query,
    problems: [],
  } as const;
  return [
    route({
      ...list,
      path: `${org}/agent-profiles`,
      summary: 'List the profiles of agents',
      reply: profilesReply,
      handle: () => {
        const agentProfiles = Object.entries(profiles).map(([name, resources]) => ({
          api_name: name,
          display_name: name,
          resources,
          custom: false,
          enabled: true,
        }));
        return Promise.resolve({ body: { agentProfiles } });
      },
    }),
    route({
      ...list,
      path: `${org}/builds`,
      summary: 'No builds: this cluster builds no images',
      reply: buildsReply,
      handle: () => Promise.resolve({ body: { builds: [], total: 0 as const } }),
    }),
    route({
      ...list,
      path: `${org}/registry-keys`,
      summary: 'No keys of a registry: this cluster has none of its own',
      reply: registryKeysReply,
      handle: () => Promise.resolve({ body: { registry_keys: [] } }),
    }),
  ];
}
