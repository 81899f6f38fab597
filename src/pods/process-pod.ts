import type { AgentSpec } from '../api/agent.ts';
import { profiles } from '../api/limits.ts';
import { agentContainer, annotations, apiVersion, labels, sessionRecordFinalizer } from '../api/names.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import { bindingMetadata, type Binding } from './binding.ts';
import { sessionId, sessionPodName } from './names.ts';
import type { SessionPodPolicy } from './policy.ts';
import { withSecurityDefaults } from './security.ts';
import type { TemplateContainer, TemplateSpec } from './template.ts';

/** Where an agent of `protocol: Process` finds the body of its session, byte for byte. */
export const BODY_DIRECTORY = '/var/run/bullpen';
export const BODY_FILE = `${BODY_DIRECTORY}/body`;
const BODY_VOLUME = 'bullpen-session';

/**
 * A larger body is given as a file only: Linux limits one environment string to 128 KiB, and a program whose
 * environment is larger cannot be started at all.
 */
export const MAX_BODY_IN_ENVIRONMENT = 64 * 1024;

/** The body of a session: in the Session itself, or in a Secret of its namespace. */
export type Body = { kind: 'inline'; text: string } | { kind: 'secret'; name: string; key: string; bytes: number };

export interface ProcessPodInput {
  namespace: string;
  agent: { name: string; spec: AgentSpec; revision: string };
  /** The Agent's pod template, checked by `checkTemplate`. */
  template: TemplateSpec;
  binding: Binding;
  body: Body;
  policy: SessionPodPolicy;
}

/**
 * The pod of a session of `protocol: Process`: the user's image as main container, started for the session and ended
 * by its own exit.
 */
export function buildProcessPod(input: ProcessPodInput): NewObject<Pod> {
  const { agent, binding, body, policy, template } = input;
  const bound = bindingMetadata(binding);
  const own = template.containers?.find((container) => container.name === agentContainer) ?? { name: agentContainer };
  const others = template.containers?.filter((container) => container.name !== agentContainer) ?? [];
  const userMetadata = agent.spec.podTemplate?.metadata ?? {};
  const spec: TemplateSpec = {
    ...template,
    restartPolicy: 'Never',
    // The kubelet's guard. It is lowered once, when the container has started, to what the session may still run.
    activeDeadlineSeconds: binding.limits.startTimeoutSeconds + binding.limits.maxSessionDuration,
    terminationGracePeriodSeconds: binding.limits.terminationGracePeriodSeconds,
    containers: [buildAgentContainer(input, own), ...others],
    volumes: [...(template.volumes ?? []), bodyVolume(body)],
    tolerations: [...(template.tolerations ?? []), ...STAY_ON_SILENT_NODES],
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: sessionPodName(binding.session, binding.attempt),
      namespace: input.namespace,
      labels: { ...userMetadata.labels, ...bound.labels, [labels.revision]: agent.revision },
      annotations: {
        ...userMetadata.annotations,
        ...bound.annotations,
        ...(body.kind === 'inline' && { [annotations.body]: body.text }),
        'kubectl.kubernetes.io/default-container': agentContainer,
        // A session must not be moved: these keep the cluster autoscaler and Karpenter from removing its node.
        'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
        'karpenter.sh/do-not-disrupt': 'true',
      },
      // The pod may not vanish before the session's end and usage are recorded, whoever deletes it.
      finalizers: [sessionRecordFinalizer],
      ownerReferences: [
        { apiVersion, kind: 'Session', ...binding.session, controller: true, blockOwnerDeletion: false },
      ],
    },
    // The API server validates the rest of the user's template; its refusal becomes a condition of the Session.
    spec: withSecurityDefaults(spec, policy) as unknown as NonNullable<Pod['spec']>,
  };
}

/**
 * Kubernetes would delete a pod 300 s after its node fell silent, but a silent node may still carry its calls: the
 * controller decides, by `nodeLostAfterSeconds`.
 */
const STAY_ON_SILENT_NODES = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
  key,
  operator: 'Exists',
  effect: 'NoExecute',
}));

function buildAgentContainer({ agent, binding, body }: ProcessPodInput, own: TemplateContainer): TemplateContainer {
  const { spec } = agent;
  return {
    resources: { requests: profiles[spec.profile], limits: profiles[spec.profile] },
    ...own,
    image: spec.image,
    ...(spec.command && { command: spec.command }),
    ...(spec.args && { args: spec.args }),
    env: [...(own.env ?? []), ...(spec.env ?? []), ...sessionEnvironment(binding, body)],
    envFrom: [
      ...(own.envFrom ?? []),
      ...(spec.secretSet === undefined ? [] : [{ secretRef: { name: spec.secretSet } }]),
      ...(spec.envFrom ?? []),
    ],
    volumeMounts: [...(own.volumeMounts ?? []), { name: BODY_VOLUME, mountPath: BODY_DIRECTORY, readOnly: true }],
  };
}

/** What the agent is told of its session. Later entries win, so these cannot be overridden by the user's. */
function sessionEnvironment(binding: Binding, body: Body): { name: string; [field: string]: unknown }[] {
  const environment: { name: string; [field: string]: unknown }[] = [
    { name: 'BULLPEN_SESSION_ID', value: sessionId(binding.session) },
    { name: 'BULLPEN_SESSION_NAME', value: binding.session.name },
    { name: 'BULLPEN_AGENT', value: binding.agent },
    { name: 'BULLPEN_MAX_SESSION_SECONDS', value: String(binding.limits.maxSessionDuration) },
    { name: 'BULLPEN_BODY_FILE', value: BODY_FILE },
  ];
  switch (body.kind) {
    case 'inline':
      environment.push({
        name: 'BULLPEN_BODY',
        valueFrom: { fieldRef: { fieldPath: `metadata.annotations['${annotations.body}']` } },
      });
      break;
    case 'secret':
      if (body.bytes <= MAX_BODY_IN_ENVIRONMENT) {
        environment.push({ name: 'BULLPEN_BODY', valueFrom: { secretKeyRef: { name: body.name, key: body.key } } });
      }
      break;
  }
  return environment;
}

function bodyVolume(body: Body): { name: string; [field: string]: unknown } {
  switch (body.kind) {
    case 'inline':
      return {
        name: BODY_VOLUME,
        downwardAPI: {
          items: [{ path: 'body', fieldRef: { fieldPath: `metadata.annotations['${annotations.body}']` } }],
        },
      };
    case 'secret':
      return { name: BODY_VOLUME, secret: { secretName: body.name, items: [{ key: body.key, path: 'body' }] } };
  }
}
