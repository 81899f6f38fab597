import { labels } from '../../api/names.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { kidsOfPod } from '../../pods/trusted-keys.ts';
import { agentStatus, isBeingDeleted, isReady, isSlow, waitCause, type WaitCause } from '../../pods/pod-facts.ts';

/** A pod that waits for a Session, as far as plans look at it. */
export interface WarmPod {
  pod: Pod;
  node: string | undefined;
  ready: boolean;
  /** Since when it has been ready, Unix milliseconds by the node's clock; 0 when it is not. */
  readySince: number;
  /** Of the revision that Sessions are to get. */
  current: boolean;
  /** Of the Agent's present revision, while that cannot start and the last good one is what Sessions are to get. */
  probe: boolean;
  /** Whether a Session may get it at all: it stays, its node answers, and it trusts a key of ours. */
  usable: boolean;
  /** Of no use any more: its node is cordoned, or it trusts no key of ours. */
  useless: boolean;
  leaving: boolean;
  /** Its node does not answer, so that nothing happens to it soon. */
  silent: boolean;
  restarts: number;
  /** What keeps it from being ready. */
  cause: WaitCause | undefined;
}

export function isWarm({ metadata }: Pod): boolean {
  return metadata.labels?.[labels.state] === 'warm';
}

/**
 * What a live warm pod is good for.
 *
 * @param wanted.probed the revision that cannot start, if there is one
 * @param wanted.node the node that it is on; undefined for one that nobody knows
 */
export function describeWarmPod(
  pod: Pod,
  wanted: { revision: string; probed?: string | undefined; kids: readonly string[]; node: Node | undefined },
): WarmPod {
  const { revision, probed, kids, node } = wanted;
  const name = pod.spec?.nodeName;
  const ready = isReady(pod);
  const leaving = isBeingDeleted(pod);
  const silent = name !== undefined && !answers(node);
  const cordoned = node?.spec?.unschedulable === true;
  const own = pod.metadata.labels?.[labels.revision];
  const trusted = kidsOfPod(pod).some((kid) => kids.includes(kid));
  return {
    pod,
    node: name,
    ready,
    readySince: ready ? readySinceOf(pod) : 0,
    restarts: agentStatus(pod)?.restartCount ?? 0,
    cause: ready ? undefined : waitCause(pod),
    leaving,
    current: trusted && own === revision,
    probe: trusted && own !== undefined && own === probed,
    silent,
    usable: trusted && !leaving && !cordoned && !silent,
    useless: !trusted || cordoned,
  };
}

/** Whether a Session may get it: it is ready, or will be. */
export function isClaimable({ usable, ready, current }: WarmPod): boolean {
  return usable && (ready || current);
}

/**
 * Whether it has a node and may never be ready there: something is wrong with it, or it takes longer than a session would wait. What no
 * node has room for is no worse than a pod that is made anew.
 *
 * @param now Unix milliseconds, by the controller's clock
 */
export function isTroubled(pod: WarmPod, startTimeoutSeconds: number, now: number): boolean {
  if (pod.ready || pod.node === undefined) return false;
  return (pod.cause !== undefined && !isSlow(pod.cause)) || lateAt(pod, startTimeoutSeconds) <= now;
}

/** When a pod that is not ready takes too long for it; Unix milliseconds. */
export function lateAt({ pod }: WarmPod, startTimeoutSeconds: number): number {
  return Date.parse(pod.metadata.creationTimestamp) + startTimeoutSeconds * 1000;
}

/**
 * The pods that so many Sessions get, best first: ready ones of the wanted revision, ready ones of an earlier revision, which was good
 * enough until now, and those of the wanted revision that still start, whose supervisors wait for the agent anyway. Among equals one
 * that has never been restarted, on the node with the fewest sessions, ready for longest.
 *
 * @param sessionsOn how many sessions of the Agent a node has
 */
export function inClaimOrder(
  pods: readonly WarmPod[],
  sessionsOn: ReadonlyMap<string, number>,
  atMost: number,
): WarmPod[] {
  const taken = new Map(sessionsOn);
  const groups = new Map<string, WarmPod[]>();
  for (const pod of pods) {
    if (!isClaimable(pod)) continue;
    const key = `${classOf(pod)}${pod.restarts > 0 ? 1 : 0}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [pod]);
    else group.push(pod);
  }
  const ordered: WarmPod[] = [];
  for (const key of [...groups.keys()].sort()) {
    if (ordered.length >= atMost) break;
    ordered.push(...spread(groups.get(key) ?? [], taken, atMost - ordered.length));
  }
  return ordered;
}

function classOf({ ready, current, node }: WarmPod): number {
  if (ready) return current ? 0 : 1;
  return node === undefined ? 3 : 2;
}

/** Longest ready first on each node, and the nodes by turns, those with the fewest sessions first. */
function spread(pods: readonly WarmPod[], taken: Map<string, number>, atMost: number): WarmPod[] {
  const byNode = new Map<string, WarmPod[]>();
  for (const pod of [...pods].sort((a, b) => b.readySince - a.readySince)) {
    const node = pod.node ?? '';
    const others = byNode.get(node);
    if (others === undefined) byNode.set(node, [pod]);
    else others.push(pod);
  }
  const comesBefore = (a: string, b: string): boolean => {
    const more = (taken.get(a) ?? 0) - (taken.get(b) ?? 0);
    return (
      more < 0 || (more === 0 && (byNode.get(a)?.at(-1)?.readySince ?? 0) < (byNode.get(b)?.at(-1)?.readySince ?? 0))
    );
  };
  const ordered: WarmPod[] = [];
  for (let left = Math.min(pods.length, atMost); left > 0; left -= 1) {
    let best: string | undefined;
    for (const node of byNode.keys()) if (best === undefined || comesBefore(node, best)) best = node;
    const queue = byNode.get(best ?? '') ?? [];
    const next = queue.pop();
    if (next !== undefined) ordered.push(next);
    if (best === undefined) break;
    taken.set(best, (taken.get(best) ?? 0) + 1);
    if (queue.length === 0) byNode.delete(best);
  }
  return ordered;
}

/** One that is silent may be gone, and one that nobody knows too. */
function answers(node: Node | undefined): boolean {
  return node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function readySinceOf(pod: Pod): number {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  return Date.parse(ready?.lastTransitionTime ?? '') || 0;
}
