import { agentSpec, type Agent, type AgentSpecInput } from '../../api/agent.ts';
import { apiVersion } from '../../api/names.ts';
import type { Session, SessionSpec, SessionStatus } from '../../api/session.ts';

/** Objects for tests, as a server would return them. */
export function makeAgent(spec: Partial<AgentSpecInput> = {}, metadata: Partial<Agent['metadata']> = {}): Agent {
  return {
    apiVersion,
    kind: 'Agent',
    metadata: {
      name: 'echo',
      namespace: 'team-a',
      uid: 'agent-uid',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2030-01-31T11:00:00Z',
      ...metadata,
    },
    spec: agentSpec.parse({ image: 'example/echo:1', ...spec }),
  };
}

export function makeSession(
  name: string,
  status: SessionStatus,
  { spec = {}, metadata = {} }: { spec?: Partial<SessionSpec>; metadata?: Partial<Session['metadata']> } = {},
): Session {
  return {
    apiVersion,
    kind: 'Session',
    metadata: {
      name,
      namespace: 'team-a',
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2030-01-31T12:00:00Z',
      ...metadata,
    },
    spec: { agent: 'echo', ...spec },
    status,
  };
}
