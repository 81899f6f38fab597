import type { Agent } from '../api/agent.ts';
import { labels, managedBy } from '../api/names.ts';
import type { Session } from '../api/session.ts';
import type { Node, Pod } from '../kube/objects.ts';
import { keyOf, type Store } from '../kube/store.ts';
import { sessionUidOf } from '../pods/binding.ts';
import { isLive } from '../pods/pod-facts.ts';
import { isFinished } from '../api/session-phase.ts';

/** The pods that are ours, warm or bound. */
export const OUR_PODS = `${labels.managedBy}=${managedBy},${labels.agent}`;

/** What the loops read. Each shows our own writes at once and everybody else's as soon as the watch brings them. */
export interface Caches {
  agents: Store<Agent>;
  sessions: Store<Session>;
  pods: Store<Pod>;
  nodes: Store<Node>;
}

/** An index of Agents: by their namespace. */
export const INDEX_BY_NAMESPACE = 'namespace';

export const agentIndexes: Record<string, (agent: Agent) => string[]> = {
  [INDEX_BY_NAMESPACE]: (agent) => present(agent.metadata.namespace),
};

/** Index names; each maps a key to objects without a walk over all of them. */
export const INDEX = {
  openByAgent: 'open-by-agent',
  finishedByAgent: 'finished-by-agent',
  uid: 'uid',
  liveByAgent: 'live-by-agent',
  liveByNamespace: 'live-by-namespace',
  endedByAgent: 'ended-by-agent',
  sessionUid: 'session-uid',
  node: 'node',
} as const;

export const sessionIndexes: Record<string, (session: Session) => string[]> = {
  [INDEX.openByAgent]: (session) => (isFinished(session) ? [] : [agentKeyOfSession(session)]),
  [INDEX.finishedByAgent]: (session) => (isFinished(session) ? [agentKeyOfSession(session)] : []),
  [INDEX.uid]: (session) => [session.metadata.uid],
};

export const podIndexes: Record<string, (pod: Pod) => string[]> = {
  [INDEX.liveByAgent]: (pod) => (isLive(pod) ? present(agentKeyOfPod(pod)) : []),
  [INDEX.endedByAgent]: (pod) => (isLive(pod) ? [] : present(agentKeyOfPod(pod))),
  [INDEX.sessionUid]: (pod) => present(sessionUidOf(pod)),
  [INDEX.liveByNamespace]: (pod) => (isLive(pod) ? present(pod.metadata.namespace) : []),
  [INDEX.node]: (pod) => (isLive(pod) ? present(pod.spec?.nodeName) : []),
};

/** `namespace/name` of the Agent that a Session names, whether that exists or not. */
export function agentKeyOfSession(session: Session): string {
  return keyOf({ namespace: session.metadata.namespace ?? '', name: session.spec.agent });
}

export function agentKeyOfPod(pod: Pod): string | undefined {
  const name = pod.metadata.labels?.[labels.agent];
  return name === undefined ? undefined : keyOf({ namespace: pod.metadata.namespace ?? '', name });
}

/** The reverse of `keyOf`, for an object in a namespace. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

function present(key: string | undefined): string[] {
  return key === undefined ? [] : [key];
}
