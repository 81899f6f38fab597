import { labels, sessionRecordFinalizer } from '../api/names.ts';
import type { JsonPatchOp } from '../kube/api.ts';
import type { Pod } from '../kube/objects.ts';
import { bindingMetadata, type Binding } from './binding.ts';
import { guardSeconds } from './http-pod.ts';
import { BUSY_ANNOTATIONS, ownedBySession } from './pod-metadata.ts';

/** A pod that was ready has so long to start a session, in seconds. Then the Session is given to another pod. */
export const WARM_START_WINDOW_SECONDS = 8;

/**
 * Turns a warm pod into the pod of a Session, in one compare-and-swap: whoever comes second, or finds the pod dying, gets 422 and has
 * changed nothing.
 *
 * @param now Unix milliseconds, by the controller's clock
 */
export function claimPatch(pod: Pod, binding: Binding, now: number): JsonPatchOp[] {
  const { metadata } = pod;
  const bound = bindingMetadata(binding);
  const noted = { ...bound.annotations, ...BUSY_ANNOTATIONS };
  const finalizers = [...(metadata.finalizers ?? []), sessionRecordFinalizer];
  return [
    { op: 'test', path: '/metadata/uid', value: metadata.uid },
    { op: 'test', path: `/metadata/labels/${pointer(labels.state)}`, value: 'warm' },
    // What is missing tests equal to null. A pod that is being deleted would die with the session on it.
    { op: 'test', path: '/metadata/deletionTimestamp', value: null },
    // One that has just ended still says that it waits.
    { op: 'test', path: '/status/phase', value: pod.status?.phase ?? null },
    { op: 'test', path: '/metadata/finalizers', value: metadata.finalizers ?? null },
    ...Object.entries(bound.labels).map(([key, value]) => add(`/metadata/labels/${pointer(key)}`, value)),
    ...Object.entries(noted).map(([key, value]) => add(`/metadata/annotations/${pointer(key)}`, value)),
    add('/metadata/finalizers', finalizers),
    // It goes with its Session now, and no longer with its Agent.
    add('/metadata/ownerReferences', [ownedBySession(binding.session)]),
    add('/spec/activeDeadlineSeconds', elapsedSeconds(pod, now) + guardSeconds(binding)),
    // They would be half of the pod, in every event to every watcher: docs/decisions/0012.
    add('/metadata/managedFields', [{}]),
  ];
}

/**
 * How long its node has had the pod, rather too much than too little: the kubelet counts its deadline from there, by its own clock,
 * and must not cut early. It is the second guard only.
 */
function elapsedSeconds(pod: Pod, now: number): number {
  const acceptedAt = pod.status?.startTime;
  if (acceptedAt === undefined) return 0;
  const since = Math.min(Date.parse(acceptedAt), Date.parse(pod.metadata.creationTimestamp));
  return Math.max(0, Math.ceil((now - since) / 1000));
}

function add(path: string, value: unknown): JsonPatchOp {
  return { op: 'add', path, value };
}

/** A key inside a JSON pointer (RFC 6901). */
function pointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
