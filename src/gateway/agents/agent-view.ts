import { z } from 'zod';
import type { Agent } from '../../api/agent.ts';
import { parseAgentSpec } from '../../api/parse.ts';
import { readinessOf } from '../agent-readiness.ts';
import { REGION } from '../routes/fields.ts';
import { desiredDeployment, reconciledDeployment } from './deployment-id.ts';

const timestamp = z.iso.datetime();

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
});

/** An agent in full. What is not known is left out: the official client does not read null in most of these. */
export const agentDetails = agentSummary.extend({
  ready: z.boolean(),
  available: z.boolean(),
  activeDeploymentReady: z.boolean(),
  activeSessionCount: z.int(),
  autoScaling: z.object({ minReplicas: z.int(), maxReplicas: z.int() }),
  agentProfile: z.string().optional(),
  resources: z.object({ cpu: z.string().optional(), memory: z.string().optional() }).optional(),
  deployment: z.object({
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
        autoScaling: z.object({ minReplicas: z.int(), maxReplicas: z.int() }),
        imagePullSecretName: z.string().optional(),
        envFromSecretNames: z.array(z.string()).optional(),
        maxSessionDurationSeconds: z.int().optional(),
      }),
    }),
  }),
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

/** @param activeSessions how many Sessions it has now */
export function viewDetails(agent: Agent, activeSessions: number): z.output<typeof agentDetails> {
  const summary = viewSummary(agent);
  const { name, namespace = '' } = agent.metadata;
  const parsed = parseAgentSpec(agent.spec);
  const spec = parsed.ok ? parsed.spec : undefined;
  const autoScaling = {
    minReplicas: spec?.scaling.minAgents ?? 0,
    maxReplicas: spec?.scaling.maxAgents ?? 0,
  };
  const { judged, ready, available, reason, message } = readinessOf(agent);
  // What was wrong with the spec before would end the deployment that mends it.
  const code = ready || !judged || reason === undefined ? undefined : ERROR_CODES[reason];
  const pullSecret = agent.spec.podTemplate?.spec?.['imagePullSecrets'] as { name?: string }[] | undefined;
  const pullSecretName = pullSecret?.[0]?.name;
  return {
    ...summary,
    ready,
    available,
    // Pipecat's deploy action looks at nothing else.
    activeDeploymentReady: ready && summary.reconciledDeploymentId === summary.desiredDeploymentId,
    activeSessionCount: activeSessions,
    autoScaling,
    ...(spec && { agentProfile: spec.profile }),
    deployment: {
      id: summary.desiredDeploymentId,
      serviceId: summary.id,
      createdAt: summary.updatedAt,
      updatedAt: summary.updatedAt,
      manifest: {
        apiVersion: agent.apiVersion,
        kind: agent.kind,
        metadata: { name, namespace },
        spec: {
          image: agent.spec.image,
          autoScaling,
          ...(pullSecretName !== undefined && { imagePullSecretName: pullSecretName }),
          ...(spec?.secretSet !== undefined && { envFromSecretNames: [spec.secretSet] }),
          ...(spec && { maxSessionDurationSeconds: spec.maxSessionDuration }),
        },
      },
    },
    ...(code !== undefined && { errors: [{ code, message: message ?? reason ?? '' }] }),
    conditions: (agent.status?.conditions ?? []).map((condition) => ({
      type: condition.type,
      status: condition.status,
      reason: condition.reason,
      message: condition.message,
    })),
  };
}

/** When anything of it changed last that its owner would call a change. */
function lastChange({ metadata, status }: Agent): string {
  const times = [
    metadata.creationTimestamp,
    ...(status?.conditions ?? []).map(({ lastTransitionTime }) => lastTransitionTime),
  ];
  return times.sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? metadata.creationTimestamp;
}
