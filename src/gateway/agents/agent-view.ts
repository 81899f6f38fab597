import { z } from 'zod';
import type { Agent, AgentSpec } from '../../api/agent.ts';
import { profiles } from '../../api/limits.ts';
import { annotations } from '../../api/names.ts';
import { parseAgentSpec } from '../../api/parse.ts';
import { readinessOf, type AgentReadiness } from '../agent-readiness.ts';
import { REGION } from '../routes/fields.ts';
import { audioFilters, webSocketAuths } from './agent-settings.ts';
import { desiredDeployment, reconciledDeployment } from './deployment-id.ts';
import { agentResources, architectureOf, type Resources } from './pod-needs.ts';
import { agentRevision, revisionsOf } from './revision-view.ts';

const timestamp = z.iso.datetime();
const resources = z.object({ cpu: z.string().optional(), memory: z.string().optional() });
const autoScaling = z.object({ minReplicas: z.int(), maxReplicas: z.int() });

const deployment = z.object({
  id: z.string(),
  serviceId: z.string(),
  createdAt: timestamp,
  updatedAt: timestamp,
  manifest: z.object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: z.object({ name: z.string(), namespace: z.string() }),
    spec: z.looseObject({
      image: z.string(),
      autoScaling,
      arch: z.string().optional(),
      resources: resources.optional(),
      imagePullSecretName: z.string().optional(),
      envFromSecretNames: z.array(z.string()).optional(),
      maxSessionDurationSeconds: z.int().optional(),
      krispViva: z.object({ audioFilters: z.boolean() }).optional(),
    }),
  }),
});

/** An agent as lists show it. */
export const agentSummary = z.object({
  id: z.string(),
  name: z.string(),
  region: z.string(),
  organizationId: z.string(),
  desiredDeploymentId: z.string(),
  activeDeploymentId: z.string(),
  reconciledDeploymentId: z.string().optional(),
  createdAt: timestamp,
  updatedAt: timestamp,
  deployment: deployment.optional().describe('In lists that ask for it.'),
});

/** An agent in full. What is not known is left out: the official client does not read null in most of these. */
export const agentDetails = agentSummary.extend({
  ready: z.boolean(),
  available: z.boolean(),
  activeDeploymentReady: z.boolean(),
  activeSessionCount: z.int(),
  autoScaling,
  agentProfile: z.string().optional(),
  resources: resources.optional().describe('What one session has: that of the profile, unless others were set.'),
  krispViva: z.object({ audioFilter: z.enum(audioFilters).nullable() }),
  websocketAuth: z.enum(webSocketAuths).optional(),
  deployment,
  currentRevision: agentRevision.optional(),
  previousRevision: agentRevision.optional().describe('It serves while the present one cannot, or not yet.'),
  errors: z.array(z.object({ code: z.string(), message: z.string() })).optional(),
  conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })),
});

/** What will not heal by itself: the first sight of it ends a deployment in the official client. */
const ERROR_CODES: Record<string, string> = {
  ImagePullFailed: 'PCC_IMAGE_NOT_FOUND',
  InvalidSpec: 'PCC_INVALID_SPEC',
  TemplateNotAllowed: 'PCC_INVALID_SPEC',
  ProtocolNotSupported: 'PCC_INVALID_SPEC',
  ContainerConfigError: 'PCC_CONTAINER_CONFIG_ERROR',
  CrashLoopBackOff: 'PCC_CRASH_LOOP',
};

/** What may have passed in a moment: a registry that is busy, a Secret that comes a little later. */
const PASSING: ReadonlySet<string> = new Set(['ImagePullFailed', 'ContainerConfigError']);
const PASSING_MS = 30_000;

export function viewSummary(agent: Agent): z.output<typeof agentSummary> {
  const { uid, name, namespace = '', creationTimestamp } = agent.metadata;
  const reconciled = reconciledDeployment(agent);
  return {
    id: uid,
    name,
    region: REGION,
    organizationId: namespace,
    desiredDeploymentId: desiredDeployment(agent),
    activeDeploymentId: desiredDeployment(agent),
    ...(reconciled !== undefined && { reconciledDeploymentId: reconciled }),
    createdAt: creationTimestamp,
    updatedAt: lastChange(agent),
  };
}

/** As it is to be: the deployment of an Agent's present spec. */
export function viewDeployment(agent: Agent): z.output<typeof deployment> {
  const { uid, name, namespace = '' } = agent.metadata;
  const spec = specOf(agent);
  const template = agent.spec.podTemplate?.spec;
  const pullSecret = template?.['imagePullSecrets'] as { name?: string }[] | undefined;
  const pullSecretName = pullSecret?.[0]?.name;
  const arch = architectureOf(template);
  const changedAt = lastChange(agent);
  return {
    id: desiredDeployment(agent),
    serviceId: uid,
    createdAt: changedAt,
    updatedAt: changedAt,
    manifest: {
      apiVersion: agent.apiVersion,
      kind: agent.kind,
      metadata: { name, namespace },
      spec: {
        image: agent.spec.image,
        autoScaling: autoScalingOf(spec),
        ...(arch !== undefined && { arch }),
        ...(spec && { resources: resourcesOf(spec) }),
        ...(pullSecretName !== undefined && { imagePullSecretName: pullSecretName }),
        ...(spec?.secretSet !== undefined && { envFromSecretNames: [spec.secretSet] }),
        ...(spec && { maxSessionDurationSeconds: spec.maxSessionDuration }),
        ...(audioFilterOf(agent) !== null && { krispViva: { audioFilters: true } }),
      },
    },
  };
}

/**
 * @param activeSessions how many Sessions it has now
 * @param now Unix milliseconds
 */
export function viewDetails(agent: Agent, activeSessions: number, now: number): z.output<typeof agentDetails> {
  const spec = specOf(agent);
  const summary = viewSummary(agent);
  const readiness = readinessOf(agent);
  const { ready, available, reason, message } = readiness;
  const code = errorCodeOf(readiness, now);
  const auth = z.enum(webSocketAuths).safeParse(agent.metadata.annotations?.[annotations.webSocketAuth]);
  return {
    ...summary,
    ready,
    available,
    // Pipecat's deploy action looks at nothing else.
    activeDeploymentReady: ready && summary.reconciledDeploymentId === summary.desiredDeploymentId,
    activeSessionCount: activeSessions,
    autoScaling: autoScalingOf(spec),
    ...(spec && { agentProfile: spec.profile, resources: resourcesOf(spec) }),
    krispViva: { audioFilter: audioFilterOf(agent) },
    ...(auth.success && { websocketAuth: auth.data }),
    deployment: viewDeployment(agent),
    ...revisionsOf(agent, code !== undefined),
    ...(code !== undefined && { errors: [{ code, message: message ?? reason ?? '' }] }),
    conditions: conditionsOf(agent),
  };
}

/** Why its deployment has failed; undefined while it may still succeed. */
function errorCodeOf({ judged, ready, reason = '', since }: AgentReadiness, now: number): string | undefined {
  // What was wrong with the spec before would end the deployment that mends it.
  if (ready || !judged) return undefined;
  if (PASSING.has(reason) && now - Date.parse(since ?? '') < PASSING_MS) return undefined;
  return ERROR_CODES[reason];
}

function specOf({ spec }: Agent): AgentSpec | undefined {
  const parsed = parseAgentSpec(spec);
  return parsed.ok ? parsed.spec : undefined;
}

function autoScalingOf(spec: AgentSpec | undefined): z.output<typeof autoScaling> {
  return { minReplicas: spec?.scaling.minAgents ?? 0, maxReplicas: spec?.scaling.maxAgents ?? 0 };
}

/** Resources of the template are instead of those of the profile, not beside them. */
function resourcesOf({ profile, podTemplate }: AgentSpec): Resources {
  const own = agentResources(podTemplate?.spec);
  return Object.keys(own).length > 0 ? own : profiles[profile];
}

function audioFilterOf({ metadata }: Agent): (typeof audioFilters)[number] | null {
  const filter = z.enum(audioFilters).safeParse(metadata.annotations?.[annotations.krispAudioFilter]);
  return filter.success ? filter.data : null;
}

/** Those of the Agent, and two of them again under the names that the official command line knows. */
function conditionsOf({ status }: Agent): z.output<typeof agentDetails>['conditions'] {
  const own = (status?.conditions ?? []).map(({ type, status: is, reason, message }) => ({
    type,
    status: is,
    reason,
    message,
  }));
  const known: Record<string, string> = { Reconciling: 'Progressing', Stalled: 'Degraded' };
  const again = own.flatMap((condition) => {
    const type = known[condition.type];
    return type === undefined ? [] : [{ ...condition, type }];
  });
  return [...own, ...again];
}

/** When anything of it changed last that its owner would call a change. */
function lastChange({ metadata, status }: Agent): string {
  const times = [
    metadata.creationTimestamp,
    ...(status?.conditions ?? []).map(({ lastTransitionTime }) => lastTransitionTime),
  ];
  return times.sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? metadata.creationTimestamp;
}
