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

export async function listGateways(api: KubeApi): Promise<Gateway[]> {
  const labelSelector = 'app.kubernetes.io/part-of=bullpen,app.kubernetes.io/component=gateway';
  return (await api.list(deployments, { labelSelector })).items;
}

/** Name of the role of what a gateway does in an organization, and of the RoleBinding there. */
export function organizationRole({ metadata }: Gateway): string {
  return `${metadata.name}-organization`;
}
