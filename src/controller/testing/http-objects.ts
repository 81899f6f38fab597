import { annotations, apiVersion, labels, managedBy } from '../../api/names.ts';
import type { Session, SessionLimitsInForce } from '../../api/session.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import type { TerminationMessage } from '../../supervisor/wire.ts';
import { describeWarmPod, type WarmPod } from '../pool/warm-pods.ts';
import { at, EPOCH, LIMITS, makePod, NAMESPACE } from './objects.ts';

/** Objects of protocol Http for tests, as a server would return them. */
export const REVISION = 'rev-2';
/** The present revision where it cannot start, and Sessions are to get {@link REVISION} instead. */
export const BROKEN_REVISION = 'rev-3';
export const KIDS = ['c1'];

/** Where a container is, in the words of the kubelet. */
export interface ContainerNow {
  state: object;
  lastState?: object;
  restartCount?: number;
}

export const runningNow = (from: number): ContainerNow => ({ state: { running: { startedAt: at(from) } } });
export const waitingNow = (reason: string): ContainerNow => ({ state: { waiting: { reason } } });
export const endedNow = (from: number, to: number, exitCode: number, more: object = {}): ContainerNow => ({
  state: { terminated: { exitCode, startedAt: at(from), finishedAt: at(to), ...more } },
});

/** What the supervisor writes down: of a session from 5 s to 10 s that was delivered, unless a test says otherwise. */
export function recordOf(record: Partial<TerminationMessage>): { message: string } {
  const whole = { bullpen: 1, delivered: true, startedAt: EPOCH + 5_400, endedAt: EPOCH + 10_000, ...record };
  return { message: JSON.stringify(whole.delivered ? whole : { ...whole, startedAt: undefined }) };
}

function containerStatus(name: string, now: ContainerNow) {
  return { name, image: '', imageID: '', ready: false, restartCount: 0, ...now };
}

/** The pod of a Session of protocol Http as the cache has it. */
export function makeHttpPod(
  session: Session,
  {
    agent,
    supervisor,
    phase = 'Running',
    status = {},
    spec = {},
    metadata = {},
    limits = LIMITS,
    startKind = 'Cold',
    attempt = 0,
    startWindowSeconds,
    ready = true,
  }: {
    agent?: ContainerNow;
    supervisor?: ContainerNow;
    phase?: string;
    status?: Partial<Pod['status']>;
    spec?: Partial<Pod['spec']>;
    metadata?: Partial<Pod['metadata']>;
    limits?: SessionLimitsInForce;
    startKind?: 'Cold' | 'Warm';
    attempt?: number;
    startWindowSeconds?: number;
    ready?: boolean;
  } = {},
): Pod {
  const record = { admittedAt: new Date(EPOCH).toISOString(), attempt, startKind, startWindowSeconds, limits };
  return makePod(session, {
    limits,
    metadata: {
      annotations: { [annotations.binding]: JSON.stringify(record), [annotations.keys]: KIDS.join() },
      ...metadata,
    },
    spec: { containers: [{ name: 'supervisor' }], activeDeadlineSeconds: 730, ...spec },
    status: {
      phase,
      podIP: '10.0.0.7',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      ...(agent && { initContainerStatuses: [containerStatus('agent', agent)] }),
      ...(supervisor && { containerStatuses: [containerStatus('supervisor', supervisor)] }),
      ...status,
    },
  });
}

/** A pod that waits for a Session, ready since a second after the epoch of the tests unless a test says otherwise. */
export function makeWarmPod(
  name: string,
  {
    ready = true,
    readySince = 1,
    revision = REVISION,
    keys = KIDS.join(),
    node = 'node-1',
    phase = 'Running',
    metadata = {},
    agent = runningNow(1),
    conditions = [],
  }: {
    ready?: boolean;
    readySince?: number;
    revision?: string;
    keys?: string;
    /** null: no node has it yet. */
    node?: string | null;
    phase?: string;
    metadata?: Partial<Pod['metadata']>;
    agent?: ContainerNow;
    conditions?: object[];
  } = {},
): Pod {
  const readiness = { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: at(readySince) };
  return {
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: `uid-${name}`,
      resourceVersion: '5',
      creationTimestamp: at(0),
      labels: {
        [labels.managedBy]: managedBy,
        [labels.agent]: 'echo',
        [labels.state]: 'warm',
        [labels.revision]: revision,
      },
      annotations: { [annotations.keys]: keys },
      ownerReferences: [{ apiVersion, kind: 'Agent', name: 'echo', uid: 'agent-uid', controller: true }],
      ...metadata,
    },
    spec: { containers: [{ name: 'supervisor' }], ...(node !== null && { nodeName: node }) },
    status: {
      phase,
      startTime: at(0),
      conditions: [readiness, ...conditions],
      initContainerStatuses: [containerStatus('agent', agent)],
    },
  } as unknown as Pod;
}

export function makeNode(name: string, { ready = true, unschedulable = false } = {}): Node {
  return {
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: at(-1000) },
    spec: { ...(unschedulable && { unschedulable }) },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }] },
  };
}

/** A warm pod as plans see it; its node answers, unless it is called `silent`, `cordoned` or `unknown`. */
export function makeIdle(name: string, options: Parameters<typeof makeWarmPod>[1] = {}): WarmPod {
  const pod = makeWarmPod(name, options);
  const on = pod.spec?.nodeName ?? 'unknown';
  const node =
    on === 'unknown' ? undefined : makeNode(on, { ready: on !== 'silent', unschedulable: on === 'cordoned' });
  return describeWarmPod(pod, { revision: REVISION, probed: BROKEN_REVISION, kids: KIDS, node });
}
