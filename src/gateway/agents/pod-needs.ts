import { z } from 'zod';
import type { AgentSpecInput } from '../../api/agent.ts';
import { agentContainer } from '../../api/names.ts';

/** The label of nodes that says what their processors are. */
export const ARCHITECTURE = 'kubernetes.io/arch';

export interface Resources {
  cpu?: string;
  memory?: string;
}

const quantity = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);
const amounts = z.looseObject({ cpu: quantity, memory: quantity }).optional().catch(undefined);
const containers = z
  .array(
    z.looseObject({ name: z.string(), resources: z.looseObject({ limits: amounts, requests: amounts }).optional() }),
  )
  .catch([]);

type TemplateSpec = NonNullable<NonNullable<AgentSpecInput['podTemplate']>['spec']>;

/** What a pod template gives the agent's container, and says nothing of where it gives nothing. Whoever wrote it may have written anything. */
export function agentResources(template: TemplateSpec | undefined): Resources {
  const own = containers.parse(template?.['containers']).find(({ name }) => name === agentContainer);
  const { limits, requests } = own?.resources ?? {};
  const cpu = limits?.cpu ?? requests?.cpu;
  const memory = limits?.memory ?? requests?.memory;
  return { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) };
}

/** The architecture of the nodes that a pod template wants; undefined where it takes any. */
export function architectureOf(template: TemplateSpec | undefined): string | undefined {
  const nodes = z.record(z.string(), z.unknown()).safeParse(template?.['nodeSelector']);
  const wanted = nodes.success ? nodes.data[ARCHITECTURE] : undefined;
  return typeof wanted === 'string' ? wanted : undefined;
}
