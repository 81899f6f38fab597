import type { Session } from '../api/session.ts';
import type { Clock } from '../kube/clock.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import type { KubeObject, Pod } from '../kube/objects.ts';
import { keyOf } from '../kube/store.ts';
import { WorkQueue } from '../kube/work-queue.ts';
import { sessionUidOf } from '../pods/binding.ts';
import { hasOurFinalizer } from '../pods/finalizer.ts';
import { isBeingDeleted, isReady, isTerminal, waitCause } from '../pods/pod-facts.ts';
import { agentKeyOfPod, agentKeyOfSession, INDEX, type Caches } from './caches.ts';
import type { NodeWatch } from './node-watch.ts';
import { isWarm } from './pool/warm-pods.ts';
import { isFinished } from '../api/session-phase.ts';

/** One queue per loop; their keys are `namespace/agent`, a Session's uid, `namespace/agent` and a namespace. */
export type Queues = Record<'agents' | 'sessions' | 'retention' | 'namespaces', WorkQueue>;

/** A store of any kind of object, as far as its objects' names and their changes go. */
interface Watched {
  values(): Iterable<KubeObject>;
  subscribe(listener: (change: { object: KubeObject; old?: KubeObject | undefined }) => void): () => void;
}

/** Retention looks at all traces of an Agent: once for many ends. */
const RETENTION_DELAY_MS = 5_000;

/**
 * client-go's defaults are meant for work that may wait: up to 17 minutes, and ten retries a second for all keys. After
 * an outage of the API server a thousand sessions come back at once, and their callers wait.
 */
const RETRIES = { maxDelayMs: 10_000, retriesPerSecond: 100, retryBurst: 1000 };

export function createQueues(deps: { clock: Clock; metrics?: KubeMetrics }): Queues {
  const queue = (name: string): WorkQueue => new WorkQueue({ ...deps, ...RETRIES, name });
  return {
    agents: queue('agent'),
    sessions: queue('session'),
    retention: queue('retention'),
    namespaces: queue('namespace'),
  };
}

/** Puts everything that the caches hold in line. */
export function enqueueAll(caches: Caches, guarded: readonly Watched[], queues: Queues): void {
  const agentKeys = new Set([
    ...caches.agents.keys(),
    ...caches.sessions.indexValues(INDEX.openByAgent),
    ...caches.pods.indexValues(INDEX.liveByAgent),
  ]);
  for (const key of agentKeys) queues.agents.add(key);
  for (const key of [
    ...caches.sessions.indexValues(INDEX.finishedByAgent),
    ...caches.pods.indexValues(INDEX.endedByAgent),
  ]) {
    queues.retention.add(key);
  }
  for (const session of caches.sessions.values()) {
    if (!isFinished(session) || session.spec.ttlSecondsAfterFinished !== undefined)
      queues.sessions.add(session.metadata.uid);
  }
  for (const pod of caches.pods.values()) {
    const uid = sessionUidOf(pod) ?? '';
    const hasSession = caches.sessions.countByIndex(INDEX.uid, uid) > 0;
    if (hasOurFinalizer(pod) || !isTerminal(pod) || !hasSession) enqueueSessionOf(pod, queues);
    queues.namespaces.add(pod.metadata.namespace ?? '');
  }
  for (const agent of caches.agents.values()) queues.namespaces.add(agent.metadata.namespace ?? '');
  // A namespace whose last Agent and session went while no controller was there.
  for (const store of guarded)
    for (const { metadata } of store.values()) queues.namespaces.add(metadata.namespace ?? '');
}

/**
 * What is not waited for is looked at together with what comes right after it: a session that starts or ends makes half a dozen changes
 * of its pod and those of the pool within moments, and an agent pass costs as much for one of them as for all.
 */
const SOON_MS = 100;

/**
 * Turns every change into the keys that it may matter to.
 *
 * @param hasWaiting whether Sessions of an Agent wait for a place or a pod, so that any change may be the one that they wait for
 * @returns a function that ends it
 */
export function route(
  caches: Caches,
  guarded: readonly Watched[],
  nodes: NodeWatch,
  queues: Queues,
  hasWaiting: (agentKey: string) => boolean,
): () => void {
  const look = (agentKey: string): void => {
    if (hasWaiting(agentKey)) queues.agents.add(agentKey);
    else queues.agents.addAfter(agentKey, SOON_MS);
  };
  const ends = [
    caches.agents.subscribe(({ type, object }) => {
      if (type === 'updated') look(keyOf(object));
      else queues.agents.add(keyOf(object));
      queues.retention.addAfter(keyOf(object), RETENTION_DELAY_MS);
      queues.namespaces.add(object.metadata.namespace ?? '');
    }),
    caches.sessions.subscribe((change) => {
      const { object } = change;
      queues.sessions.add(object.metadata.uid);
      if (isFinished(object)) queues.retention.addAfter(agentKeyOfSession(object), RETENTION_DELAY_MS);
      const key = agentKeyOfSession(object);
      // It is new, or its pod is of no use and it needs another.
      if (change.type === 'added' || (change.old && change.old.status?.attempt !== object.status?.attempt))
        queues.agents.add(key);
      else if (change.type === 'deleted' || changesPlaces(change.old, object)) look(key);
    }),
    caches.pods.subscribe((change) => {
      const { object } = change;
      const ended = isTerminal(object) && (change.type !== 'updated' || !isTerminal(change.old));
      const key = agentKeyOfPod(object);
      enqueueSessionOf(object, queues);
      if (ended || change.type !== 'updated') queues.namespaces.add(object.metadata.namespace ?? '');
      const matters = ended || change.type !== 'updated' || changesPool(change.old, object);
      if (key !== undefined && matters) look(key);
      if (key !== undefined && isTerminal(object)) queues.retention.addAfter(key, RETENTION_DELAY_MS);
    }),
    caches.nodes.subscribe(({ type, object }) => {
      if (type === 'deleted') nodes.forget(object.metadata.name);
      else nodes.observe(object);
      for (const pod of caches.pods.byIndex(INDEX.node, object.metadata.name)) {
        enqueueSessionOf(pod, queues);
        const key = isWarm(pod) ? agentKeyOfPod(pod) : undefined;
        if (key !== undefined) look(key);
      }
    }),
    ...guarded.map((store) =>
      store.subscribe(({ object, old }) => {
        // The disruption controller counts every pod in a budget's status; only the spec matters here.
        const sameSpec = old !== undefined && old.metadata.generation === object.metadata.generation;
        if (!sameSpec) queues.namespaces.add(object.metadata.namespace ?? '');
      }),
    ),
  ];
  return () => ends.forEach((end) => end());
}

/** Whether what has changed of a Session decides over who else may start. */
function changesPlaces(before: Session, after: Session): boolean {
  return before.status?.phase !== after.status?.phase || before.spec.stop !== after.spec.stop;
}

/** Whether what has changed of a pod that waits decides over who gets it, or whether another is made. */
function changesPool(before: Pod, after: Pod): boolean {
  if (!isWarm(after)) return isWarm(before);
  return (
    isReady(before) !== isReady(after) ||
    isBeingDeleted(before) !== isBeingDeleted(after) ||
    before.spec?.nodeName !== after.spec?.nodeName ||
    waitCause(before)?.reason !== waitCause(after)?.reason
  );
}

function enqueueSessionOf(pod: Pod, queues: Queues): void {
  const uid = sessionUidOf(pod);
  if (uid !== undefined) queues.sessions.add(uid);
}
