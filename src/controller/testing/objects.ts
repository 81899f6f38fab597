import { agentSpec, type Agent, type AgentSpecInput } from '../../api/agent.ts';
import { annotations, apiVersion, labels, managedBy, sessionRecordFinalizer } from '../../api/names.ts';
import type { Session, SessionLimitsInForce, SessionSpec, SessionStatus } from '../../api/session.ts';
import type { Pod } from '../../kube/objects.ts';
import { sessionPodName } from '../../pods/names.ts';

/** Objects for tests, as a server would return them. Every field that a test cares about is an argument. */
export const NAMESPACE = 'team-a';
export const EPOCH = Date.parse('2026-01-01T00:00:00.000Z');

export const LIMITS: SessionLimitsInForce = {
  maxSessionDuration: 600,
  startTimeoutSeconds: 120,
  nodeLostAfterSeconds: 300,
  terminationGracePeriodSeconds: 10,
};

/** The time `seconds` after the epoch of the tests, as Kubernetes writes it. */
export function at(seconds: number): string {
  return new Date(EPOCH + seconds * 1000).toISOString().replace('.000Z', 'Z');
}

export function makeAgent(spec: Partial<AgentSpecInput> = {}, metadata: Partial<Agent['metadata']> = {}): Agent {
  return {
    apiVersion,
    kind: 'Agent',
    metadata: {
      name: 'echo',
      namespace: NAMESPACE,
      uid: 'agent-uid',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: at(-100),
      ...metadata,
    },
    spec: agentSpec.parse({ image: 'example/echo:1', protocol: 'Process', ...spec }),
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
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: at(0),
      ...metadata,
    },
    spec: { agent: 'echo', ...spec },
    ...(status && { status }),
  };
}

/** The status of a Session whose pod exists. */
export function boundStatus(session: Session, status: Partial<SessionStatus> = {}): SessionStatus {
  return {
    phase: 'Starting',
    createdAt: session.metadata.creationTimestamp,
    podName: sessionPodName(session.metadata, 0),
    podUID: `pod-${session.metadata.uid}`,
    startKind: 'Cold',
    admittedAt: new Date(EPOCH).toISOString(),
    boundAt: new Date(EPOCH).toISOString(),
    limits: LIMITS,
    ...status,
  };
}

type PodStatus = Partial<Pod['status']>;

/** The pod of a Session as the cache has it. */
export function makePod(
  session: Session,
  {
    status = {},
    spec = {},
    metadata = {},
    limits = LIMITS,
  }: {
    status?: PodStatus;
    spec?: Partial<Pod['spec']>;
    metadata?: Partial<Pod['metadata']>;
    limits?: SessionLimitsInForce;
  } = {},
): Pod {
  return {
    metadata: {
      name: sessionPodName(session.metadata, 0),
      namespace: NAMESPACE,
      uid: `pod-${session.metadata.uid}`,
      resourceVersion: '2',
      creationTimestamp: at(0),
      labels: {
        [labels.managedBy]: managedBy,
        [labels.agent]: session.spec.agent,
        [labels.session]: session.metadata.name,
        [labels.sessionUid]: session.metadata.uid,
        [labels.state]: 'busy',
      },
      annotations: {
        [annotations.binding]: JSON.stringify({ admittedAt: new Date(EPOCH).toISOString(), attempt: 0, limits }),
      },
      finalizers: [sessionRecordFinalizer],
      ...metadata,
    },
    spec: {
      nodeName: 'node-1',
      activeDeadlineSeconds: limits.startTimeoutSeconds + limits.maxSessionDuration,
      ...spec,
    } as Pod['spec'],
    status: { phase: 'Pending', startTime: at(1), ...status },
  };
}

/** Container statuses of the container `agent`. */
export function running(startedAt: string): PodStatus {
  return { phase: 'Running', containerStatuses: [agentContainer({ running: { startedAt } })] };
}

export function terminated(
  phase: 'Succeeded' | 'Failed' | 'Running',
  exit: { exitCode: number; reason?: string; startedAt?: string; finishedAt?: string; message?: string },
): PodStatus {
  return {
    phase,
    containerStatuses: [agentContainer({ terminated: { startedAt: at(2), finishedAt: at(10), ...exit } })],
  };
}

export function waiting(reason: string, message = ''): PodStatus {
  return { phase: 'Pending', containerStatuses: [agentContainer({ waiting: { reason, message } })] };
}

function agentContainer(state: object) {
  return { name: 'agent', image: '', imageID: '', ready: false, restartCount: 0, state };
}
