import type {
  V1LeaseSpec,
  V1NamespaceSpec,
  V1NamespaceStatus,
  V1NetworkPolicySpec,
  V1NodeSpec,
  V1NodeStatus,
  V1PodDisruptionBudgetSpec,
  V1PodDisruptionBudgetStatus,
  V1PodSpec,
  V1PodStatus,
  V1Secret,
} from '@kubernetes/client-node';

/** `metadata.ownerReferences[]`: the garbage collector deletes an object when its owners are gone. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** `metadata` of an object that the server has stored. Times are RFC 3339 in whole seconds. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

/** Any stored object, as the JSON that the server sends. Objects in a {@link Store} are shared: never change one. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** `metadata` of an object that is yet to be created. */
export interface NewObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

/** What `create` takes: the object without what the server fills in. `apiVersion` and `kind` may be left out. */
export type NewObject<T extends KubeObject> = Omit<T, 'metadata' | 'status'> & {
  metadata: NewObjectMeta;
  status?: unknown;
};

/**
 * A model class of client-node as the JSON it stands for: dates are strings, and its escaped names (`_from`,
 * `_continue`) are the real ones. The models themselves say `Date`, which is true only of what client-node's own
 * serializer returns.
 */
export type Raw<T> = 0 extends 1 & T
  ? unknown
  : T extends Date
    ? string
    : T extends readonly (infer Item)[]
      ? Raw<Item>[]
      : T extends object
        ? { [Key in keyof T as Key extends `_${infer Name}` ? Name : Key]: Raw<T[Key]> }
        : T;

export interface Pod extends KubeObject {
  spec: Raw<V1PodSpec>;
  status: Raw<V1PodStatus>;
}

export interface Node extends KubeObject {
  spec: Raw<V1NodeSpec>;
  status: Raw<V1NodeStatus>;
}

export interface Namespace extends KubeObject {
  spec: Raw<V1NamespaceSpec>;
  status: Raw<V1NamespaceStatus>;
}

export interface Secret extends KubeObject {
  type?: string;
  immutable?: boolean;
  /** Values are base64. */
  data?: NonNullable<Raw<V1Secret>['data']>;
  /** Write only: the server moves it into `data`. */
  stringData?: NonNullable<Raw<V1Secret>['stringData']>;
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

export interface Lease extends KubeObject {
  spec?: Raw<V1LeaseSpec>;
}

export interface PodDisruptionBudget extends KubeObject {
  spec: Raw<V1PodDisruptionBudgetSpec>;
  status?: Raw<V1PodDisruptionBudgetStatus>;
}

export interface NetworkPolicy extends KubeObject {
  spec: Raw<V1NetworkPolicySpec>;
}

/** A past state of an object, kept by its controller; never changed. */
export interface ControllerRevision extends KubeObject {
  data?: unknown;
  /** Grows from one to the next of the same owner. */
  revision: number;
}

/** What an Event or another object points at. */
export interface ObjectReference {
  apiVersion?: string;
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  resourceVersion?: string;
  fieldPath?: string;
}

/** An Event of `events.k8s.io/v1`. Times have microseconds. */
export interface KubeEvent extends KubeObject {
  eventTime: string;
  series?: { count: number; lastObservedTime: string };
  reportingController: string;
  reportingInstance: string;
  action: string;
  reason: string;
  regarding: ObjectReference;
  related?: ObjectReference;
  /** At most 1024 bytes. */
  note: string;
  type: 'Normal' | 'Warning';
}

/** One entry of `status.conditions`. */
export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  /** When `status` last changed; RFC 3339, whole seconds. */
  lastTransitionTime: string;
  observedGeneration?: number | undefined;
}
