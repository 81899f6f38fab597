import type { JsonPatchOp } from './api.ts';
import type { KubeObject } from './objects.ts';

/** Whether the object is kept from vanishing by this finalizer. */
export function hasFinalizer(object: KubeObject, name: string): boolean {
  return object.metadata.finalizers?.includes(name) ?? false;
}

/**
 * A JSON patch that removes one finalizer; empty when it is not there. It tests the object's uid and the entry that it
 * removes, so against a successor of the same name, or a list that others have changed meanwhile, it fails with 422
 * instead of taking what is not ours.
 */
export function removeFinalizerPatch(object: KubeObject, name: string): JsonPatchOp[] {
  const index = object.metadata.finalizers?.indexOf(name) ?? -1;
  if (index < 0) return [];
  const path = `/metadata/finalizers/${index}`;
  return [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    { op: 'test', path, value: name },
    { op: 'remove', path },
  ];
}
