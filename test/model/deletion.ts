import type { DeleteOptions } from '../../src/kube/api.ts';
import type { KubeObject, ObjectMeta, Pod } from '../../src/kube/objects.ts';

/** What a DELETE does: the object vanishes, lives on changed, or stays as it is because it is being deleted already. */
export type Deletion = { kind: 'gone' } | { kind: 'marked'; metadata: ObjectMeta } | { kind: 'unchanged' };

/** Finalizers of Kubernetes' garbage collector, put on an object by the way in which it is deleted. */
export const ORPHAN_FINALIZER = 'orphan';
export const FOREGROUND_FINALIZER = 'foregroundDeletion';

/**
 * The rules of `rest.BeforeDelete` and of the pod strategy: pods go gracefully unless they have no node or have ended, a
 * grace period can only be shortened, and nothing vanishes while it has finalizers.
 */
export function planDeletion(object: KubeObject, options: DeleteOptions, graceful: boolean, nowMs: number): Deletion {
  const { metadata } = object;
  const finalizers = withPropagation(metadata, options.propagationPolicy);
  if (metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds !== undefined) {
    const before = metadata.deletionGracePeriodSeconds;
    const wanted = graceful ? options.gracePeriodSeconds : undefined;
    if (wanted === undefined || wanted >= before) {
      return finalizers.length === 0 && !graceful ? { kind: 'gone' } : { kind: 'unchanged' };
    }
    const since = Date.parse(metadata.deletionTimestamp) - before * 1000;
    return marked(metadata, finalizers, wanted, since);
  }
  return marked(metadata, finalizers, graceful ? podGrace(object as Pod, options) : 0, nowMs);
}

function marked(metadata: ObjectMeta, finalizers: string[], grace: number, sinceMs: number): Deletion {
  if (grace === 0 && finalizers.length === 0) return { kind: 'gone' };
  return {
    kind: 'marked',
    metadata: {
      ...metadata,
      ...(finalizers.length > 0 && { finalizers }),
      deletionTimestamp: wholeSeconds(sinceMs + grace * 1000),
      deletionGracePeriodSeconds: grace,
    },
  };
}

function podGrace(pod: Pod, { gracePeriodSeconds }: DeleteOptions): number {
  const unscheduled = (pod.spec.nodeName ?? '') === '';
  const ended = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
  if (unscheduled || ended) return 0;
  return gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
}

function withPropagation(
  { finalizers = [], deletionTimestamp }: ObjectMeta,
  policy: DeleteOptions['propagationPolicy'],
): string[] {
  const extra = policy === 'Orphan' ? ORPHAN_FINALIZER : policy === 'Foreground' ? FOREGROUND_FINALIZER : undefined;
  if (extra === undefined || deletionTimestamp !== undefined || finalizers.includes(extra)) return finalizers;
  return [...finalizers, extra];
}

/** Whether an object that is being deleted vanishes with this update: its last finalizer has gone, and so has its grace. */
export function vanishesWithUpdate({ deletionTimestamp, deletionGracePeriodSeconds, finalizers }: ObjectMeta): boolean {
  return deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) === 0 && (finalizers ?? []).length === 0;
}

/** `metav1.Time`. */
export function wholeSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
