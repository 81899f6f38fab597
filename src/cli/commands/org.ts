import { labels } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isAlreadyExists, isForbidden } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import { namespaces, type Resource } from '../../kube/resources.ts';
import { CliError, ofObjects, type Command, type Tools } from '../command.ts';
import { findInstalled, organizationRole, roleBindings, type Gateway } from '../gateways.ts';
import { renderOne } from '../print.ts';

const clusterRoles: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterroles',
  kind: 'ClusterRole',
  namespaced: false,
};

/** What to do instead. */
const OTHER = 'Take another one: bullpen org create calls';

export const orgCreate: Command = {
  name: 'org create',
  args: ['NAME'],
  summary: 'Make a namespace an organization of the REST API, and the namespace if there is none',
  options: {},
  outputs: ofObjects,
  async run(tools, [name = '']) {
    const { api, output, print, note } = tools;
    // With -o, standard output is for the object alone.
    const tell = async (line: string): Promise<void> => (output === '' ? await print(line) : note(line));
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
      throw new CliError(
        `"${name}" cannot be the name of a namespace: lowercase letters, digits and '-', at most 63`,
        2,
      );
    if (name.startsWith('kube-'))
      throw new CliError(
        `Namespaces that begin with "kube-" are Kubernetes' own, and whoever has a key of one could run anything in it. ${OTHER}`,
        2,
      );
    const { gateways, homes } = await findInstalled(api);
    if (homes.includes(name))
      throw new CliError(
        `Bullpen itself is in namespace ${name}: a gateway that serves it could change the controller's keys. ${OTHER}`,
        2,
      );
    const own = { [labels.organization]: '' };
    let made;
    try {
      made = await api.create(namespaces, undefined, { metadata: { name, labels: own } } as never);
      await tell(`namespace/${name} created`);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      made = await api.patch(namespaces, { name }, { type: 'merge', body: { metadata: { labels: own } } });
      await tell(`namespace/${name} is an organization`);
    }
    if (gateways.length === 0) note('No gateway is installed: run this again when there is one.');
    for (const gateway of gateways) await bind({ ...tools, print: tell }, name, gateway);
    if (output !== '') await print(renderOne(made, output, namespaces));
  },
};

/** Lets the gateway do in the namespace what its callers ask for. */
async function bind({ api, print, note }: Tools, namespace: string, gateway: Gateway): Promise<void> {
  const { name, namespace: home = '' } = gateway.metadata;
  const organization = organizationRole(gateway);
  if ((await find(api, roleBindings, { namespace, name: organization })) !== undefined) return;
  if (await servesNamedOnly(api, organization)) {
    note(`The gateway ${name} serves the namespaces that its chart names: add ${namespace} to watch.namespaces there.`);
    return;
  }
  const binding = {
    metadata: { name: organization },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: organization },
    subjects: [
      { kind: 'ServiceAccount', name: gateway.spec.template.spec.serviceAccountName ?? 'default', namespace: home },
    ],
  };
  try {
    await api.create(roleBindings, namespace, binding);
    await print(`rolebinding/${organization} created`);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** Then the chart makes what it needs in each of them, and no role for others. */
async function servesNamedOnly(api: KubeApi, role: string): Promise<boolean> {
  try {
    return (await find(api, clusterRoles, { name: role })) === undefined;
  } catch (error) {
    if (isForbidden(error)) return false;
    throw error;
  }
}
