import { apiVersion, labels, startedByGateway } from '../../src/api/names.ts';
import type { AgentSpecInput } from '../../src/api/agent.ts';

/**
 * Annotation on pods for the fake kubelet: `LEAST-MOST`, how many milliseconds the session runs until the container exits with 0
 * (protocol Process) or the agent answers `POST /bot` (Http). Without it: until stopped.
 */
export const RUN_MS = 'bench.example/run-ms';

export interface AgentOptions {
  name: string;
  /** How long its sessions run, in milliseconds; until they are stopped, when left out. */
  runMs?: { least: number; most: number };
  /** Deletes pods and Sessions as soon as they have ended, so that a leg contains the whole life of its sessions. */
  keepNothing?: boolean;
  /** More of its spec, or something else. */
  spec?: Partial<AgentSpecInput>;
}

/** An Agent that never refuses: what is measured is how fast, not how full. */
export function benchAgent({ name, runMs, keepNothing = false, spec: given }: AgentOptions): object {
  const none = { seconds: 0, count: 0 };
  const spec: AgentSpecInput = {
    image: 'registry.example/agent:1',
    protocol: 'Process',
    scaling: { maxAgents: 5000 },
    podTemplate: {
      metadata: { annotations: runMs === undefined ? {} : { [RUN_MS]: `${runMs.least}-${runMs.most}` } },
    },
    ...(keepNothing && { retention: { pods: none, sessions: none } }),
    ...given,
  };
  return { apiVersion, kind: 'Agent', metadata: { name }, spec };
}

/** What makes an Agent one of protocol Http, with so many pods that wait. */
export function warmPool(minAgents: number): Partial<AgentSpecInput> {
  return { protocol: 'Http', scaling: { minAgents, maxAgents: 1000 } };
}

/** What a caller tells an agent, of an ordinary size. */
export const ordinaryBody = JSON.stringify({
  caller: '+1 555 0100',
  prompt: 'You are a friendly receptionist. '.repeat(12),
});

/**
 * A Session with a body of an ordinary size, if nothing else is said.
 *
 * @param options.overRest as the REST API makes it: the retention of its Agent applies to it
 */
export function benchSession(name: string, agent: string, { overRest = true, body = ordinaryBody } = {}): object {
  const metadata = { name, labels: overRest ? { [labels.startedBy]: startedByGateway } : {} };
  return { apiVersion, kind: 'Session', metadata, spec: { agent, body } };
}
