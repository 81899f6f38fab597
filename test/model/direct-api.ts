import type { KubeApi } from '../../src/kube/api.ts';
import type { ApiServer } from './api-server.ts';

/**
 * The model server as a client sees it that has no network in between: every call is carried out at once.
 * Watches are not here: `network.ts` has them, with their delays.
 */
export function directApi(server: ApiServer, by: string): Omit<KubeApi, 'watch'> {
  return {
    get: async (resource, ref) => Promise.resolve(server.get(resource, ref)),
    list: async (resource, options = {}) =>
      Promise.resolve({ items: server.list(resource, options), resourceVersion: server.version }),
    create: async (resource, namespace, body) => Promise.resolve(server.create(resource, namespace, body, by)),
    patch: async (resource, ref, patch, { subresource } = {}) =>
      Promise.resolve(server.patch(resource, ref, patch, { subresource, by })),
    replace: async (resource, body, { subresource } = {}) =>
      Promise.resolve(server.replace(resource, body, { subresource, by })),
    delete: async (resource, ref, options = {}) => Promise.resolve(server.delete(resource, ref, { ...options, by })),
  };
}
