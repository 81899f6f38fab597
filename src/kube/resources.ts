import type {
  ConfigMap,
  ControllerRevision,
  KubeEvent,
  KubeObject,
  Lease,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
  PodDisruptionBudget,
  Secret,
} from './objects.ts';

/** Names one kind of object to the API server; the type parameter is the object's type. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** The name in URLs: `pods`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: carries the object's type. */
  readonly _type?: T;
}

/** Which object of a resource. */
export interface ObjectRef {
  /** Left out for cluster-scoped resources. */
  namespace?: string;
  name: string;
}

/** How to ask for an object that one has. */
export function refOf({ metadata: { namespace, name } }: KubeObject): ObjectRef {
  return namespace === undefined ? { name } : { namespace, name };
}

const namespaced = true;

export const pods: Resource<Pod> = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced };
export const secrets: Resource<Secret> = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced };
export const configMaps: Resource<ConfigMap> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced,
};
export const nodes: Resource<Node> = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
export const namespaces: Resource<Namespace> = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
export const leases: Resource<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced,
};
export const events: Resource<KubeEvent> = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced,
};
export const podDisruptionBudgets: Resource<PodDisruptionBudget> = {
  group: 'policy',
  version: 'v1',
  plural: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  namespaced,
};
export const networkPolicies: Resource<NetworkPolicy> = {
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'networkpolicies',
  kind: 'NetworkPolicy',
  namespaced,
};

export const controllerRevisions: Resource<ControllerRevision> = {
  group: 'apps',
  version: 'v1',
  plural: 'controllerrevisions',
  kind: 'ControllerRevision',
  namespaced,
};

/** `apiVersion` of a resource's objects: `v1`, `policy/v1`. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** Where a request goes: the collection, one object, or a subresource of it. */
export interface ResourcePath {
  namespace?: string | undefined;
  name?: string;
  subresource?: string | undefined;
}

/** The URL path of a resource. Every part is escaped, so that no name can reach another resource. */
export function pathOf(resource: Resource, { namespace, name, subresource }: ResourcePath): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : '';
  const object = name === undefined ? '' : `/${segment(name)}`;
  return `${root}${scope}/${resource.plural}${object}${subresource === undefined ? '' : `/${segment(subresource)}`}`;
}

/** One URL path segment. An empty one would turn "this object" into "all of them", and dots climb. */
function segment(value: string): string {
  if (value === '' || value === '.' || value === '..') {
    throw new TypeError(`"${value}" is not the name of a Kubernetes object`);
  }
  return encodeURIComponent(value);
}
