import { z } from 'zod';
import { agentLimits, profiles } from '../../api/limits.ts';
import { namesOf } from '../../api/reasons.ts';
import { Problem } from '../problems.ts';
import { agentNameParam, REGION } from '../routes/fields.ts';

/** Longest name of an agent over REST, as Pipecat Cloud has it. */
const MAX_NAME = 54;

const { maxSessionDuration, minAgents, maxAgents } = agentLimits;
const secretName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
  .max(253);

/** Quantities of Kubernetes, without the forms of them that nobody writes. */
const cpu = z
  .string()
  .max(20)
  .regex(/^(?=.*[1-9])([0-9]+([.][0-9]{1,3})?|[0-9]+m)$/, 'must be a number of CPUs such as 500m or 1.5');
const memory = z
  .string()
  .max(20)
  .regex(/^(?=.*[1-9])[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$/, 'must be an amount of memory such as 512Mi or 2Gi');

const autoScaling = z
  .looseObject({
    minAgents: z.int().min(minAgents.min).max(minAgents.max).nullish(),
    maxAgents: z.int().min(maxAgents.min).max(maxAgents.max).nullish(),
  })
  .refine((given) => (given.minAgents ?? 0) <= (given.maxAgents ?? Infinity), {
    path: ['minAgents'],
    message: 'must not be above maxAgents',
  });

export const audioFilters = ['tel', 'pro'] as const;
export const webSocketAuths = ['none', 'token'] as const;

/** What of an agent can be set over REST. Fields that are not here are ignored: clients send more than the API has. */
const settings = {
  image: z.string().min(1).max(1024).optional(),
  buildId: z.string().nullish(),
  git: z.unknown().optional(),
  region: z.string().nullish(),
  imagePullSecretSet: secretName.nullish(),
  secretSet: secretName.nullish(),
  autoScaling: autoScaling.nullish(),
  agentProfile: z.enum(namesOf(profiles)).nullish(),
  resources: z
    .looseObject({ cpu: cpu.optional(), memory: memory.optional() })
    .nullish()
    .describe('CPU and memory of one session, instead of those of the profile.'),
  maxSessionDuration: z.int().min(maxSessionDuration.min).max(maxSessionDuration.max).nullish(),
  architecture: z.enum(['amd64', 'arm64']).nullish().describe('Of the nodes that it runs on; any, when never set.'),
  nodeType: z.literal('arm').nullish().describe('The same as architecture arm64.'),
  krispViva: z
    .looseObject({ audioFilter: z.enum(audioFilters).nullish() })
    .nullish()
    .describe('Kept and shown, and nothing else: the models of Krisp are not here. Null takes the filter away.'),
  enableKrisp: z.boolean().nullish().describe('Does nothing: the models of Krisp are not here.'),
  websocketAuth: z.enum(webSocketAuths).nullish().describe('Kept and shown.'),
  enableManagedKeys: z.boolean().nullish(),
  enableIntegratedKeysProxy: z.boolean().nullish(),
  forceRedeploy: z.boolean().nullish().describe('Make a new revision even where nothing else is new.'),
};

export const agentCreation = z.looseObject({ ...settings, serviceName: agentNameParam.max(MAX_NAME).min(2) });
export const agentUpdate = z.looseObject({ ...settings, serviceName: agentNameParam.optional() });
export type AgentSettings = z.output<typeof agentUpdate>;

/**
 * Refuses what there is not on this cluster, and what an agent that seems to have it would not have. None of it is sent by the official
 * clients unless somebody asks for it.
 *
 * @throws Problem BadRequest
 */
export function refuseWhatThereIsNot(given: AgentSettings): void {
  const why = whatThereIsNot(given);
  if (why !== undefined) throw new Problem('BadRequest', { error: why });
}

function whatThereIsNot(given: AgentSettings): string | undefined {
  const { buildId, git, image, region, nodeType, architecture } = given;
  if (typeof buildId === 'string')
    return image === undefined
      ? 'Build not found: this cluster builds no images. Push an image and deploy that.'
      : 'Cannot specify both image and buildId. Use one or the other.';
  if (git !== undefined && git !== null)
    return 'Invalid parameters: git: this cluster builds no images. Push an image and deploy that.';
  if (typeof region === 'string' && region !== REGION) return `Invalid region: this cluster is the region "${REGION}"`;
  if (typeof nodeType === 'string' && architecture === 'amd64')
    return 'Invalid parameters: nodeType: "arm" contradicts the architecture "amd64"';
  const keys = (['enableManagedKeys', 'enableIntegratedKeysProxy'] as const).find((field) => given[field] === true);
  if (keys !== undefined)
    return `Invalid parameters: ${keys}: this cluster has no keys of its own for other services. Put yours into a secret set.`;
  return undefined;
}

/** What whoever deploys should know; the official command line prints it. */
export function warningOf({ krispViva, enableKrisp }: AgentSettings): string | undefined {
  const wantsKrisp = enableKrisp === true || typeof krispViva?.audioFilter === 'string';
  if (!wantsKrisp) return undefined;
  return 'The models of Krisp are not part of this cluster: the agent hears unfiltered audio unless its image brings them.';
}
