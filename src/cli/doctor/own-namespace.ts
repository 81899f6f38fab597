import { labels } from '../../api/names.ts';
import { isForbidden } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import type { Tools } from '../command.ts';
import { findInstalled, organizationRole, roleBindings, type Gateway } from '../gateways.ts';
import type { Finding } from './finding.ts';

/** Whether each gateway is kept out of the namespaces of Bullpen's own. Who may not look is told nothing. */
export async function ownNamespaces({ api }: Pick<Tools, 'api'>): Promise<Finding[]> {
  const look = async (namespace: string, gateway: Gateway): Promise<Finding> => {
    const role = organizationRole(gateway);
    const isBound = (await find(api, roleBindings, { namespace, name: role })) !== undefined;
    const what = `gateway ${gateway.metadata.name} can change nothing in Bullpen's own namespace ${namespace}`;
    const undo = `kubectl -n ${namespace} delete rolebinding ${role}; kubectl label namespace ${namespace} ${labels.organization}-`;
    const hint = `The controller's keys are there. Leave it out of watch.namespaces, and: ${undo}`;
    return { what, ok: !isBound, ...(isBound && { hint }) };
  };
  try {
    const { gateways, homes } = await findInstalled(api);
    return await Promise.all(homes.flatMap((home) => gateways.map((gateway) => look(home, gateway))));
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return [];
  }
}
