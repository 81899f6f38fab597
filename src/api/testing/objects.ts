import { agentSpec, type Agent, type AgentSpecInput } from '../agent.ts';
import { apiVersion } from '../names.ts';
import type { Session, SessionSpec, SessionStatus } from '../session.ts';

/** Objects for tests, as a server would return them. Every field that a test cares about is an argument. */
export const NAMESPACE = 'team-a';
export const EPOCH = Date.parse('2026-01-01T00:00:00.000Z');

/** The time `seconds` after the epoch of the tests, as Kubernetes writes it. */
export function at(seconds: number): string {
  return new Date(EPOCH + seconds * 1000).toISOString().replace('.000Z', 'Z');
}

export function makeAgent(spec: Partial<AgentSpecInput> = {}, metadata: Partial<Agent['metadata']> = {}): Agent {
  return {
    apiVersion,
    kind: 'Agent',
    metadata: { ...metadataOf('echo', at(-100)), uid: 'agent-uid', ...metadata },
    spec: agentSpec.parse({ image: 'example/echo:1', ...spec }),
  };
}

export function makeSession(
  name: string,
  {
    spec = {},
    status,
    metadata = {},
  }: { spec?: Partial<SessionSpec>; status?: SessionStatus; metadata?: Partial<Session['metadata']> } = {},
): Session {
  return {
    apiVersion,
    kind: 'Session',
    metadata: { ...metadataOf(name, at(0)), ...metadata },
    spec: { agent: 'echo', ...spec },
    ...(status && { status }),
  };
}

function metadataOf(name: string, creationTimestamp: string): Session['metadata'] {
  return { name, namespace: NAMESPACE, uid: `uid-${name}`, resourceVersion: '1', generation: 1, creationTimestamp };
}
