import { sessionRecordFinalizer } from '../api/names.ts';
import { hasFinalizer } from '../kube/finalizers.ts';
import type { KubeObject } from '../kube/objects.ts';

/** Whether this pod waits for the end of its Session to be recorded. */
export function hasOurFinalizer(pod: KubeObject): boolean {
  return hasFinalizer(pod, sessionRecordFinalizer);
}
