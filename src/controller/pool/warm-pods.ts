import { labels } from '../../api/names.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { kidsOfPod } from '../../pods/trusted-keys.ts';
import { agentStatus, isBeingDeleted, isReady, waitCause, type WaitCause } from '../../pods/pod-facts.ts';

/** A pod that waits for a Session, as far as plans look at it. */
export interface WarmPod {
  pod: Pod;
  node: string | undefined;
  ready: boolean;
  /** Since when it has been ready, Unix milliseconds by the node's clock; 0 when it is not. */
  readySince: number;
  /** Of the revision that the Agent wants now. */
  current: boolean;
  /** Whether a Session may get it at all: it stays, its node does, and it trusts a key of ours. */
  usable: boolean;
  leaving: boolean;
  restarts: number;
  /** What keeps it from being ready. */
  cause: WaitCause | undefined;
}

/** What is known of the node that a pod is on; undefined for a node that nobody knows. */
export type NodeOf = (name: string) => Node | undefined;

export function isWarm({ metadata }: Pod): boolean {
  return metadata.labels?.[labels.state] === 'warm';
}

/** What a live warm pod is good for. */
export function describeWarmPod(
  pod: Pod,
  { revision, kids, nodeOf }: { revision: string; kids: readonly string[]; nodeOf: NodeOf },
): WarmPod {
  const node = pod.spec?.nodeName;
  const ready = isReady(pod);
  const leaving = isBeingDeleted(pod);
  const trusted = kidsOfPod(pod).some((kid) => kids.includes(kid));
  return {
    pod,
    node,
    ready,
    readySince: ready ? readySinceOf(pod) : 0,
    current: trusted && pod.metadata.labels?.[labels.revision] === revision,
    usable: trusted && !leaving && (node === undefined || takesSessions(nodeOf(node))),
    leaving,
    restarts: agentStatus(pod)?.restartCount ?? 0,
    cause: ready ? undefined : waitCause(pod),
  };
}

/**
 * The pods that Sessions may get, best first: ready ones of the wanted revision, ready ones of an earlier revision, which was good
 * enough until now, and those of the wanted revision that still start, whose supervisors wait for the agent anyway. Among equals one
 * that has never been restarted, on the node with the fewest sessions, ready for longest.
 *
 * @param sessionsOn how many sessions of the Agent a node has
 */
export function inClaimOrder(pods: readonly WarmPod[], sessionsOn: ReadonlyMap<string, number>): WarmPod[] {
  const claimable = pods.filter(({ usable, ready, current }) => usable && (ready || current));
  const taken = new Map(sessionsOn);
  const groups = new Map<string, WarmPod[]>();
  for (const pod of claimable) {
    const key = `${classOf(pod)}${pod.restarts > 0 ? 1 : 0}`;
    groups.set(key, [...(groups.get(key) ?? []), pod]);
  }
  const ordered: WarmPod[] = [];
  for (const key of [...groups.keys()].sort()) ordered.push(...spread(groups.get(key) ?? [], taken));
  return ordered;
}

function classOf({ ready, current }: WarmPod): number {
  return ready ? (current ? 0 : 1) : 2;
}

/** Longest ready first on each node, and the nodes by turns, those with the fewest sessions first. */
function spread(pods: readonly WarmPod[], taken: Map<string, number>): WarmPod[] {
  const byNode = new Map<string, WarmPod[]>();
  for (const pod of [...pods].sort((a, b) => b.readySince - a.readySince)) {
    const node = pod.node ?? '';
    byNode.set(node, [...(byNode.get(node) ?? []), pod]);
  }
  const ordered: WarmPod[] = [];
  for (let left = pods.length; left > 0; left -= 1) {
    let best: string | undefined;
    for (const node of byNode.keys())
      if (best === undefined || (taken.get(node) ?? 0) < (taken.get(best) ?? 0)) best = node;
    const queue = byNode.get(best ?? '') ?? [];
    const next = queue.pop();
    if (next !== undefined) ordered.push(next);
    if (best === undefined) break;
    taken.set(best, (taken.get(best) ?? 0) + 1);
    if (queue.length === 0) byNode.delete(best);
  }
  return ordered;
}

/** A node that is cordoned is about to go, and one that is silent may be gone. */
function takesSessions(node: Node | undefined): boolean {
  if (node === undefined || node.spec?.unschedulable === true) return false;
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function readySinceOf(pod: Pod): number {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  return Date.parse(ready?.lastTransitionTime ?? '') || 0;
}
