import type { KubeApi } from '../kube/api.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';

/** A gateway of the cluster, as the chart installs it. */
export interface Gateway extends KubeObject {
  spec: { template: { spec: { serviceAccountName?: string } } };
}

interface RoleBinding extends KubeObject {
  roleRef: { apiGroup: string; kind: string; name: string };
  subjects: { kind: string; name: string; namespace: string }[];
}

const deployments: Resource<Gateway> = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};

export const roleBindings: Resource<RoleBinding> = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'rolebindings',
  kind: 'RoleBinding',
  namespaced: true,
};

const component = 'app.kubernetes.io/component';

/** What of Bullpen is installed in a cluster, by however many releases. */
export interface Installed {
  gateways: Gateway[];
  /** Namespaces of Bullpen's own. The controllers' keys are there, so none may be an organization. */
  homes: string[];
}

export async function findInstalled(api: KubeApi): Promise<Installed> {
  const labelSelector = `app.kubernetes.io/part-of=bullpen,${component} in (controller,gateway)`;
  const { items } = await api.list(deployments, { labelSelector });
  return {
    gateways: items.filter(({ metadata }) => metadata.labels?.[component] === 'gateway'),
    homes: [...new Set(items.map(({ metadata }) => metadata.namespace ?? ''))],
  };
}

/** Name of the role of what a gateway does in an organization, and of the RoleBinding there. */
export function organizationRole({ metadata }: Gateway): string {
  return `${metadata.name}-organization`;
}
