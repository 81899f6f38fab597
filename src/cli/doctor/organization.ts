import { labels } from '../../api/names.ts';
import { agents, apiKeys } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isForbidden, KubeError } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import { namespaces, type Resource } from '../../kube/resources.ts';
import type { Tools } from '../command.ts';
import { findInstalled, organizationRole, roleBindings, type Gateway } from '../gateways.ts';
import type { Finding } from './finding.ts';

/** Whether the gateways, where there are any, serve the namespace. Nobody asks of one in which there is nothing to serve. */
export async function organization({ api, namespace }: Tools): Promise<Finding[]> {
  const [hasAgents, hasKeys] = await Promise.all([has(api, agents, namespace), has(api, apiKeys, namespace)]);
  if (!hasAgents && !hasKeys) return [];
  const what = `namespace ${namespace} is an organization of the REST API`;
  try {
    const { gateways, homes } = await findInstalled(api);
    const served = await Promise.all(gateways.map((gateway) => isServed(api, namespace, gateway)));
    if (served.length === 0) return [];
    if (homes.includes(namespace))
      return [
        { what, ok: 'unknown', hint: "It is Bullpen's own, and must be none: put agents and keys into another." },
      ];
    if (!served.includes(false)) return [{ what, ok: true }];
    const hint = `Its agents cannot be used over REST: bullpen org create ${namespace}`;
    // Without keys it may be meant so: sessions are started in other ways, too.
    return [{ what, ok: hasKeys ? false : 'unknown', hint }];
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return [{ what, ok: 'unknown', hint: error.status?.message ?? error.message }];
  }
}

/** Whether there is what `bullpen org create` makes, or what the chart makes in a namespace that it names. */
async function isServed(api: KubeApi, namespace: string, gateway: Gateway): Promise<boolean> {
  const binding = await find(api, roleBindings, { namespace, name: organizationRole(gateway) });
  if (binding === undefined) return false;
  // The chart's own binding, where its values name the namespaces: such a gateway looks at no label.
  if (binding.roleRef.kind === 'Role') return true;
  const { metadata } = await api.get(namespaces, { name: namespace });
  return metadata.labels?.[labels.organization] !== undefined;
}

/** What may not be seen, or is not served, is told of by other checks. */
async function has(api: KubeApi, resource: Resource, namespace: string): Promise<boolean> {
  try {
    return (await api.list(resource, { namespace, limit: 1 })).items.length > 0;
  } catch (error) {
    if (error instanceof KubeError && (error.code === 403 || error.code === 404)) return false;
    throw error;
  }
}
