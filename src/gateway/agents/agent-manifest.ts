import { z } from 'zod';
import type { Agent, AgentSpecInput } from '../../api/agent.ts';
import { agentLimits, profiles } from '../../api/limits.ts';
import { annotations, apiVersion } from '../../api/names.ts';
import { Problem } from '../problems.ts';
import { agentNameParam, REGION } from '../routes/fields.ts';

/** Who owns the fields of an Agent that were set over REST. */
export const FIELD_MANAGER = 'bullpen-gateway';

/** Longest name of an agent over REST, as Pipecat Cloud has it. */
const MAX_NAME = 54;

const { maxSessionDuration, maxAgents } = agentLimits;
const secretName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
  .max(253);

/** What of an agent can be set over REST. Fields that are not here are ignored: clients send more than the API has. */
const settings = {
  image: z.string().min(1).max(1024).optional(),
  buildId: z.string().nullish(),
  region: z.string().nullish(),
  imagePullSecretSet: secretName.nullish(),
  secretSet: secretName.nullish(),
  autoScaling: z
    .looseObject({
      minAgents: z.int().min(0).max(maxAgents.max).nullish(),
      maxAgents: z.int().min(0).max(maxAgents.max).nullish(),
    })
    .nullish(),
  agentProfile: z.enum(Object.keys(profiles) as [string, ...string[]]).nullish(),
  resources: z.looseObject({ cpu: z.string().optional(), memory: z.string().optional() }).nullish(),
  maxSessionDuration: z.int().min(maxSessionDuration.min).max(maxSessionDuration.max).nullish(),
  architecture: z.enum(['amd64', 'arm64']).nullish(),
  forceRedeploy: z.boolean().nullish(),
};

export const agentCreation = z.looseObject({ ...settings, serviceName: agentNameParam.max(MAX_NAME).min(2) });
export const agentUpdate = z.looseObject({ ...settings, serviceName: agentNameParam.optional() });
export type AgentSettings = z.output<typeof agentUpdate>;

interface ManagedFields {
  manager?: string;
  operation?: string;
  fieldsV1?: Record<string, unknown>;
}

/** What we apply: all that REST has ever set of this Agent and not somebody else since, and what it sets now. */
export interface AgentManifest {
  apiVersion: string;
  kind: 'Agent';
  metadata: { name: string; namespace: string; annotations?: Record<string, string> };
  spec: Partial<AgentSpecInput>;
}

/**
 * The manifest for a server-side apply. What is left out of a request stays as it is, so what we own of the live object goes in again:
 * an apply takes away what its manager no longer mentions.
 *
 * @param live the Agent with its managed fields, or undefined when it is to be made
 * @throws Problem BadRequest
 */
export function agentManifest(
  live: Agent | undefined,
  where: { namespace: string; name: string },
  given: AgentSettings,
  now: number,
): AgentManifest {
  refuseWhatThereIsNot(given);
  if (live === undefined && given.image === undefined)
    throw new Problem('BadRequest', { error: 'Invalid parameters: image: an image is required' });
  const before = live === undefined ? {} : ownedSpec(live);
  const redeploy =
    given.forceRedeploy === true
      ? new Date(now).toISOString()
      : live && owns(live, ['f:metadata', 'f:annotations', `f:${annotations.redeploy}`])
        ? live.metadata.annotations?.[annotations.redeploy]
        : undefined;
  const { minAgents, maxAgents: most } = given.autoScaling ?? {};
  const scaling = {
    ...before.scaling,
    ...(typeof minAgents === 'number' && { minAgents }),
    ...(typeof most === 'number' && { maxAgents: most }),
  };
  const podTemplate = templateOf(before.podTemplate, given);
  return {
    apiVersion,
    kind: 'Agent',
    metadata: { ...where, ...(redeploy !== undefined && { annotations: { [annotations.redeploy]: redeploy } }) },
    spec: {
      ...before,
      ...(given.image !== undefined && { image: given.image }),
      ...(typeof given.secretSet === 'string' && { secretSet: given.secretSet }),
      ...(typeof given.agentProfile === 'string' && { profile: given.agentProfile as keyof typeof profiles }),
      ...(typeof given.maxSessionDuration === 'number' && { maxSessionDuration: given.maxSessionDuration }),
      ...(Object.keys(scaling).length > 0 && { scaling }),
      ...(podTemplate && { podTemplate }),
    },
  };
}

type Template = NonNullable<AgentSpecInput['podTemplate']>;

function templateOf(before: Template | undefined, given: AgentSettings): Template | undefined {
  const spec: Record<string, unknown> = { ...before?.spec };
  if (typeof given.imagePullSecretSet === 'string') spec['imagePullSecrets'] = [{ name: given.imagePullSecretSet }];
  if (typeof given.architecture === 'string') spec['nodeSelector'] = { 'kubernetes.io/arch': given.architecture };
  const { cpu, memory } = given.resources ?? {};
  if (cpu !== undefined || memory !== undefined) {
    const resources = { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) };
    spec['containers'] = [{ name: 'agent', resources: { requests: resources, limits: resources } }];
  }
  return Object.keys(spec).length === 0 ? undefined : { ...before, spec };
}

function refuseWhatThereIsNot({ buildId, image, region }: AgentSettings): void {
  if (typeof buildId === 'string')
    throw new Problem('BadRequest', {
      error:
        image === undefined
          ? 'Build not found: this cluster builds no images. Push an image and deploy that.'
          : 'Cannot specify both image and buildId. Use one or the other.',
    });
  if (typeof region === 'string' && region !== REGION)
    throw new Problem('BadRequest', { error: `Invalid region: this cluster is the region "${REGION}"` });
}

/** What we have applied of the spec and nobody else has taken over since. */
function ownedSpec(live: Agent): Partial<AgentSpecInput> {
  const { spec } = live;
  const has = (...path: string[]): boolean => owns(live, ['f:spec', ...path]);
  const template = spec.podTemplate?.spec ?? {};
  const templateSpec = {
    ...(has('f:podTemplate', 'f:spec', 'f:imagePullSecrets') && { imagePullSecrets: template['imagePullSecrets'] }),
    ...(has('f:podTemplate', 'f:spec', 'f:nodeSelector') && { nodeSelector: template['nodeSelector'] }),
    ...(has('f:podTemplate', 'f:spec', 'f:containers') && { containers: template['containers'] }),
  };
  const scaling = {
    ...(has('f:scaling', 'f:minAgents') && { minAgents: spec.scaling?.minAgents }),
    ...(has('f:scaling', 'f:maxAgents') && { maxAgents: spec.scaling?.maxAgents }),
  };
  return {
    ...(has('f:image') && { image: spec.image }),
    ...(has('f:secretSet') && { secretSet: spec.secretSet }),
    ...(has('f:profile') && { profile: spec.profile }),
    ...(has('f:maxSessionDuration') && { maxSessionDuration: spec.maxSessionDuration }),
    ...(Object.keys(scaling).length > 0 && { scaling }),
    ...(Object.keys(templateSpec).length > 0 && { podTemplate: { spec: templateSpec } }),
  };
}

/** Whether our field manager is one of the owners of a field. */
function owns(live: Agent, path: readonly string[]): boolean {
  const { managedFields = [] } = live.metadata as { managedFields?: ManagedFields[] };
  return managedFields.some(({ manager, operation, fieldsV1 }) => {
    if (manager !== FIELD_MANAGER || operation !== 'Apply') return false;
    let node: unknown = fieldsV1;
    for (const step of path) node = (node as Record<string, unknown> | undefined)?.[step];
    return node !== undefined;
  });
}
