import type { AgentSpec } from '../api/agent.ts';
import { profiles } from '../api/limits.ts';
import { agentContainer } from '../api/names.ts';
import type { TemplateContainer, TemplateSpec } from './template.ts';

export interface EnvVar {
  name: string;
  [field: string]: unknown;
}

/** The containers of a template: the one that is merged into the agent's, and the user's others. */
export function splitContainers(template: TemplateSpec): { own: TemplateContainer; others: TemplateContainer[] } {
  const containers = template.containers ?? [];
  return {
    own: containers.find(({ name }) => name === agentContainer) ?? { name: agentContainer },
    others: containers.filter(({ name }) => name !== agentContainer),
  };
}

/**
 * The container of the agent.
 *
 * @param env what Bullpen adds: `defaults` give way to the user's variables of that name, `fixed` do not
 */
export function buildAgentContainer(
  spec: AgentSpec,
  own: TemplateContainer,
  env: { defaults: readonly EnvVar[]; fixed: readonly EnvVar[] },
): TemplateContainer {
  return {
    resources: { requests: profiles[spec.profile], limits: profiles[spec.profile] },
    // The last lines of a crash say more than its exit code.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...own,
    image: spec.image,
    ...(spec.command && { command: spec.command }),
    ...(spec.args && { args: spec.args }),
    // Of several with one name, the last wins.
    env: [...env.defaults, ...(own.env ?? []), ...(spec.env ?? []), ...env.fixed],
    envFrom: [
      ...(own.envFrom ?? []),
      ...(spec.secretSet === undefined ? [] : [{ secretRef: { name: spec.secretSet } }]),
      ...(spec.envFrom ?? []),
    ],
  };
}

/**
 * Kubernetes would delete a pod 300 s after its node fell silent, but a silent node may still carry its calls: the
 * controller decides, by `nodeLostAfterSeconds`.
 */
export const STAY_ON_SILENT_NODES = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
  key,
  operator: 'Exists',
  effect: 'NoExecute',
}));
