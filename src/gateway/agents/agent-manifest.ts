import type { Agent, AgentSpecInput } from '../../api/agent.ts';
import { profiles } from '../../api/limits.ts';
import { agentContainer, annotations, apiVersion } from '../../api/names.ts';
import { Problem } from '../problems.ts';
import { refuseWhatThereIsNot, type AgentSettings } from './agent-settings.ts';
import { ARCHITECTURE, agentResources } from './pod-needs.ts';

/** Who owns the fields of an Agent that were set over REST. */
export const FIELD_MANAGER = 'bullpen-gateway';

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
  const notes = notesOf(live, given, now);
  const { minAgents, maxAgents: most } = given.autoScaling ?? {};
  const scaling = {
    ...before.scaling,
    ...(typeof minAgents === 'number' && { minAgents }),
    ...(typeof most === 'number' && { maxAgents: most }),
  };
  const present = live?.spec.profile ?? 'agent-1x';
  const profile = given.agentProfile ?? present;
  const podTemplate = templateOf(before.podTemplate, given, { profile, isNew: profile !== present });
  return {
    apiVersion,
    kind: 'Agent',
    metadata: { ...where, ...(Object.keys(notes).length > 0 && { annotations: notes }) },
    spec: {
      ...before,
      ...(given.image !== undefined && { image: given.image }),
      ...(typeof given.secretSet === 'string' && { secretSet: given.secretSet }),
      ...(typeof given.agentProfile === 'string' && { profile: given.agentProfile }),
      ...(typeof given.maxSessionDuration === 'number' && { maxSessionDuration: given.maxSessionDuration }),
      ...(Object.keys(scaling).length > 0 && { scaling }),
      podTemplate,
    },
  };
}

/** What is on the Agent as an annotation: to be redeployed, and what REST is told and no pod is made of. */
function notesOf(live: Agent | undefined, given: AgentSettings, now: number): Record<string, string> {
  const owned = Object.entries(live?.metadata.annotations ?? {}).filter(
    ([name]) => live !== undefined && owns(live, ['f:metadata', 'f:annotations', `f:${name}`]),
  );
  const { audioFilter } = given.krispViva ?? {};
  const notes: Record<string, string | null | undefined> = {
    ...Object.fromEntries(owned),
    ...(given.forceRedeploy === true && { [annotations.redeploy]: new Date(now).toISOString() }),
    ...(audioFilter !== undefined && { [annotations.krispAudioFilter]: audioFilter }),
    ...(typeof given.websocketAuth === 'string' && { [annotations.webSocketAuth]: given.websocketAuth }),
  };
  return Object.fromEntries(
    Object.entries(notes).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

type Template = NonNullable<AgentSpecInput['podTemplate']>;

/**
 * Resources that were set go with the profile that they were set beside. The command line sends the profile with every deployment, so the
 * same one again says nothing.
 */
function templateOf(
  before: Template | undefined,
  given: AgentSettings,
  { profile, isNew }: { profile: keyof typeof profiles; isNew: boolean },
): Template | undefined {
  const { containers, ...kept } = { ...before?.spec };
  const spec: Record<string, unknown> = { ...kept, ...(containers !== undefined && !isNew && { containers }) };
  if (typeof given.imagePullSecretSet === 'string') spec['imagePullSecrets'] = [{ name: given.imagePullSecretSet }];
  const architecture = given.architecture ?? (typeof given.nodeType === 'string' ? 'arm64' : undefined);
  if (architecture !== undefined) spec['nodeSelector'] = { [ARCHITECTURE]: architecture };
  const { cpu, memory } = given.resources ?? {};
  if (cpu !== undefined || memory !== undefined) {
    const resources = {
      ...profiles[profile],
      ...agentResources(spec),
      ...(cpu !== undefined && { cpu }),
      ...(memory !== undefined && { memory }),
    };
    spec['containers'] = [{ name: agentContainer, resources: { requests: resources, limits: resources } }];
  }
  return Object.keys(spec).length === 0 ? undefined : { ...before, spec };
}

/** What we have applied of the spec and nobody else has taken over since. */
function ownedSpec(live: Agent): Partial<AgentSpecInput> {
  const { spec } = live;
  const has = (...path: string[]): boolean => owns(live, ['f:spec', ...path]);
  const template = spec.podTemplate?.spec ?? {};
  const nodes = template['nodeSelector'] as Record<string, string> | undefined;
  const templateSpec = {
    ...(has('f:podTemplate', 'f:spec', 'f:imagePullSecrets') && { imagePullSecrets: template['imagePullSecrets'] }),
    ...(has('f:podTemplate', 'f:spec', 'f:nodeSelector', `f:${ARCHITECTURE}`) && {
      nodeSelector: { [ARCHITECTURE]: nodes?.[ARCHITECTURE] },
    }),
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
