import type { KubeApi, JsonPatchOp } from '../kube/api.ts';
import { isInvalid, isNotFound } from '../kube/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { refOf, type Resource } from '../kube/resources.ts';
import type { Store } from '../kube/store.ts';
import { refresh } from './refresh.ts';

/**
 * Replaces the status of an object, if it is still that very object in the phase that the decision was made on; the
 * reply goes straight into the cache.
 *
 * The tests make a late or doubled write harmless: it cannot touch a successor of the same name (the uid in a merge
 * patch would be ignored on /status), nor take a phase back that another leader has written. A failed test is answered
 * with 422: then the cache is brought up to date, and what that changes plans again.
 *
 * @returns the object as written, or undefined when it has changed meanwhile or is gone
 */
export async function writeStatus<T extends KubeObject & { status?: object }>(
  api: KubeApi,
  resource: Resource<T>,
  store: Store<T>,
  object: T,
  status: NonNullable<T['status']>,
): Promise<T | undefined> {
  const ops: JsonPatchOp[] = [{ op: 'test', path: '/metadata/uid', value: object.metadata.uid }];
  // What is missing tests equal to null.
  if (object.status === undefined) ops.push({ op: 'test', path: '/status', value: null });
  else ops.push({ op: 'test', path: '/status/phase', value: (object.status as { phase?: string }).phase ?? null });
  ops.push({ op: 'add', path: '/status', value: status });
  try {
    const written = await api.patch(resource, refOf(object), { type: 'json', ops }, { subresource: 'status' });
    store.writeThrough(written);
    return written;
  } catch (error) {
    if (!isInvalid(error) && !isNotFound(error)) throw error;
    await refresh(api, resource, store, object, error);
    return undefined;
  }
}
