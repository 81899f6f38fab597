import type { Agent, AgentSpecInput } from '../../api/agent.ts';
import { annotations, labels, managedBy, sessionRecordFinalizer } from '../../api/names.ts';
import type { Session, SessionLimitsInForce, SessionStatus } from '../../api/session.ts';
import { at, EPOCH, makeAgent as anyAgent, makeSession, NAMESPACE } from '../../api/testing/objects.ts';
import type { Pod } from '../../kube/objects.ts';
import { sessionPodName } from '../../pods/names.ts';

export { at, EPOCH, makeSession, NAMESPACE };

export const LIMITS: SessionLimitsInForce = {
  maxSessionDuration: 600,
  startTimeoutSeconds: 120,
  nodeLostAfterSeconds: 300,
  terminationGracePeriodSeconds: 10,
};

/** An Agent of protocol Process, the one with the simpler pod. */
export function makeAgent(spec: Partial<AgentSpecInput> = {}, metadata: Partial<Agent['metadata']> = {}): Agent {
  return anyAgent({ protocol: 'Process', ...spec }, metadata);
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
