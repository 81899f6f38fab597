import { annotations } from '../api/names.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import { buildAgentContainer, splitContainers, STAY_ON_SILENT_NODES, type EnvVar } from './agent-container.ts';
import type { Binding } from './binding.ts';
import { sessionId, sessionPodName } from './names.ts';
import { busyMetadata, type AgentOfPod } from './pod-metadata.ts';
import type { SessionPodPolicy } from './policy.ts';
import { withSecurityDefaults } from './security.ts';
import type { TemplateSpec } from './template.ts';

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
  agent: AgentOfPod;
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
export function buildProcessPod({
  namespace,
  agent,
  template,
  binding,
  body,
  policy,
}: ProcessPodInput): NewObject<Pod> {
  const { own, others } = splitContainers(template);
  const container = buildAgentContainer(agent.spec, own, { defaults: [], fixed: sessionEnvironment(binding, body) });
  const bodyMount = { name: BODY_VOLUME, mountPath: BODY_DIRECTORY, readOnly: true };
  const spec: TemplateSpec = {
    ...template,
    restartPolicy: 'Never',
    // The kubelet's guard. It is lowered once, when the container has started, to what the session may still run.
    activeDeadlineSeconds: binding.limits.startTimeoutSeconds + binding.limits.maxSessionDuration,
    terminationGracePeriodSeconds: binding.limits.terminationGracePeriodSeconds,
    containers: [{ ...container, volumeMounts: [...(own.volumeMounts ?? []), bodyMount] }, ...others],
    volumes: [...(template.volumes ?? []), bodyVolume(body)],
    tolerations: [...(template.tolerations ?? []), ...STAY_ON_SILENT_NODES],
  };
  const name = sessionPodName(binding.session, binding.attempt);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: busyMetadata(
      agent,
      { name, namespace },
      binding,
      body.kind === 'inline' ? { [annotations.body]: body.text } : {},
    ),
    // The API server validates the rest of the user's template; its refusal becomes a condition of the Session.
    spec: withSecurityDefaults(spec, policy) as unknown as NonNullable<Pod['spec']>,
  };
}

/** What the agent is told of its session. Later entries win, so these cannot be overridden by the user's. */
function sessionEnvironment(binding: Binding, body: Body): EnvVar[] {
  const environment: EnvVar[] = [
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
