import type { KubeApi } from '../kube/api.ts';
import { isNotFound } from '../kube/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { refOf, type Resource } from '../kube/resources.ts';
import type { Store } from '../kube/store.ts';

/**
 * Brings the cache up to date with an object that a write has just missed: it has changed, or is gone, and what the
 * cache then shows plans again. Throws `refusal` when the object is what we took it for: the write itself was wrong.
 */
export async function refresh<T extends KubeObject>(
  api: KubeApi,
  resource: Resource<T>,
  store: Store<T>,
  object: T,
  refusal: unknown,
): Promise<void> {
  let fresh: T;
  try {
    fresh = await api.get(resource, refOf(object));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    // The watch would say so, if it lives.
    store.removeGone(object);
    return;
  }
  if (fresh.metadata.resourceVersion === object.metadata.resourceVersion) throw refusal;
  store.writeThrough(fresh);
}
