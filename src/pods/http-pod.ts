import { supervisorContainer } from '../api/names.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import { environment, ICE_PORT, SUPERVISOR_PORT, type PublicKeys } from '../supervisor/wire.ts';
import { buildAgentContainer, splitContainers, STAY_ON_SILENT_NODES } from './agent-container.ts';
import type { Binding } from './binding.ts';
import { sessionPodName } from './names.ts';
import { busyMetadata, warmMetadata, type AgentOfPod } from './pod-metadata.ts';
import type { SessionPodPolicy } from './policy.ts';
import { withSecurityDefaults } from './security.ts';
import type { TemplateContainer, TemplateSpec } from './template.ts';
import { trustedKeysAnnotation } from './trusted-keys.ts';

/** How the supervisor gets into pods: the values `image` and `supervisor` of the chart. */
export interface SupervisorSettings {
  image: string;
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of Secrets in the namespaces of Agents. */
  imagePullSecrets: readonly string[];
  resources: Record<string, unknown>;
}

export interface HttpPodInput {
  namespace: string;
  agent: AgentOfPod;
  /** The Agent's pod template, checked by `checkTemplate`. */
  template: TemplateSpec;
  /** The Session that the pod is for, or the name of a pod that waits for one. */
  purpose: { binding: Binding } | { warm: string };
  supervisor: SupervisorSettings;
  publicKeys: PublicKeys;
  policy: SessionPodPolicy;
}

/** The supervisor's own clock cuts at the limit. The kubelet is the second guard, so much later. */
const KUBELET_GUARD_SECONDS = 10;

/** The image's user: a number, so that Kubernetes can see that it is not root. */
const SUPERVISOR_USER = 65532;

/**
 * A pod of `protocol: Http`: the agent is a server that would run for ever, so it is a native sidecar, and the pod lives as long as
 * the supervisor beside it does, which is as long as the session. The user's other containers are sidecars for the same reason.
 */
export function buildHttpPod(input: HttpPodInput): NewObject<Pod> {
  const { agent, namespace, policy, purpose, supervisor, template } = input;
  const { own, others } = splitContainers(template);
  const { imagePullSecrets: pullSecrets, ...given } = template;
  const allPullSecrets = [...asList(pullSecrets), ...supervisor.imagePullSecrets.map((name) => ({ name }))];
  const users: TemplateSpec = {
    ...given,
    ...(allPullSecrets.length > 0 && { imagePullSecrets: allPullSecrets }),
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: agent.spec.terminationGracePeriodSeconds,
    initContainers: [
      ...(template.initContainers ?? []),
      ...[...others, buildAgentContainer(agent.spec, own, agentEnvironment(input))].map(sidecar),
    ],
    containers: [],
    tolerations: [...(template.tolerations ?? []), ...STAY_ON_SILENT_NODES],
  };
  const trusted = trustedKeysAnnotation(input.publicKeys);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata:
      'warm' in purpose
        ? warmMetadata(agent, { name: purpose.warm, namespace }, trusted)
        : busyMetadata(
            agent,
            { name: sessionPodName(purpose.binding.session, purpose.binding.attempt), namespace },
            purpose.binding,
            trusted,
          ),
    spec: {
      ...withSecurityDefaults(users, policy),
      ...('binding' in purpose && { activeDeadlineSeconds: guardSeconds(purpose.binding) }),
      containers: [buildSupervisor(input)],
      // The API server validates the rest of the user's template; its refusal becomes a condition of the Session or the Agent.
    } as unknown as NonNullable<Pod['spec']>,
  };
}

/**
 * `activeDeadlineSeconds` of a pod that has yet to start its session, counted from when it is bound. The whole start timeout is in it,
 * also for a pod that is ready: another leader may have to find out whether the session has started, and must not make it start late
 * and end early.
 */
export function guardSeconds({ limits }: Binding): number {
  return limits.startTimeoutSeconds + limits.maxSessionDuration + KUBELET_GUARD_SECONDS;
}

function sidecar(container: TemplateContainer): TemplateContainer {
  return { ...container, restartPolicy: 'Always' };
}

/** Pipecat's container contract. */
function agentEnvironment({ agent: { spec } }: HttpPodInput) {
  return {
    defaults: [
      { name: 'ICE_CONFIG_URL', value: `http://localhost:${ICE_PORT}/ice-servers` },
      // Pipecat's server waits so long for its connections to end; the kubelet kills it then.
      { name: 'SHUTDOWN_TIMEOUT', value: String(spec.terminationGracePeriodSeconds) },
    ],
    fixed: [{ name: 'PORT', value: String(spec.port) }],
  };
}

/** It is `restricted` whatever the agent may do. */
function buildSupervisor({ agent, publicKeys, supervisor }: HttpPodInput): TemplateContainer {
  return {
    name: supervisorContainer,
    image: supervisor.image,
    imagePullPolicy: supervisor.imagePullPolicy,
    // Little memory: it is in every pod, and handles one request.
    command: ['node', '--max-semi-space-size=1', '/app/supervisor.js'],
    env: [
      { name: environment.podUid, valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: environment.agentPort, value: String(agent.spec.port) },
      { name: environment.publicKeys, value: JSON.stringify(publicKeys) },
    ],
    ports: [{ name: supervisorContainer, containerPort: SUPERVISOR_PORT }],
    readinessProbe: {
      httpGet: { path: '/readyz', port: SUPERVISOR_PORT },
      periodSeconds: 1,
      timeoutSeconds: 3,
      failureThreshold: 3,
    },
    resources: supervisor.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: SUPERVISOR_USER,
      runAsGroup: SUPERVISOR_USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}

function asList(value: unknown): { name: string }[] {
  return Array.isArray(value) ? (value as { name: string }[]) : [];
}
