import type { CallOptions, KubeApi } from './api.ts';
import { isNotFound } from './errors.ts';
import type { KubeObject } from './objects.ts';
import type { ObjectRef, Resource } from './resources.ts';

/** An object as the server has it now; undefined when there is none. */
export async function find<T extends KubeObject>(
  api: Pick<KubeApi, 'get'>,
  resource: Resource<T>,
  ref: ObjectRef,
  options?: CallOptions,
): Promise<T | undefined> {
  try {
    return await api.get(resource, ref, options);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
