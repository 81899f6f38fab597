import type { Status } from './errors.ts';
import type { LogLine } from './log-lines.ts';
import type { KubeObject, NewObject, ObjectMeta } from './objects.ts';
import type { ObjectRef, Resource } from './resources.ts';

/** Options of every call. */
export interface CallOptions {
  /** Gives up the call; the outcome of a mutation given up after it was sent is `unknown`. */
  signal?: AbortSignal | undefined;
  /** Deadline of the whole call with its retries, in milliseconds. */
  timeoutMs?: number | undefined;
}

/** Which objects of a resource. */
export interface Selection {
  /** All namespaces when left out. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface ListOptions extends Selection, CallOptions {
  /** Page size; without it everything comes in one answer. */
  limit?: number | undefined;
  /** The token of the previous page. */
  continue?: string | undefined;
  /** Left out: the newest state (a consistent read). `0`: whatever the server has in its cache, which may be old. */
  resourceVersion?: string | undefined;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan' | undefined;
}

/** One page of a list. */
export interface ListResult<T extends KubeObject> {
  items: T[];
  /** The state that this list shows; the same for all its pages. A watch may start here. */
  resourceVersion: string;
  /** Asks for the next page; absent on the last one. */
  continue?: string;
}

export interface WatchOptions extends Selection {
  /** Events after this version are delivered. */
  resourceVersion: string;
  /**
   * With an empty `resourceVersion`: begin with everything that is there, at least as new as this call, as `ADDED`
   * events. A bookmark with the annotation `k8s.io/initial-events-end` follows. 422 when the server cannot do it.
   */
  sendInitialEvents?: boolean | undefined;
  /** Ends the watch. */
  signal: AbortSignal;
  /** The server ends the watch after this time. */
  timeoutSeconds?: number | undefined;
}

/** One event of a watch, as the server sends it. */
export type WatchEvent<T extends KubeObject> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  /** Everything up to this resource version has been delivered. */
  | { type: 'BOOKMARK'; object: { metadata: Pick<ObjectMeta, 'resourceVersion' | 'annotations'> } }
  /** The last event of a watch that failed; see `errorFromStatus`. */
  | { type: 'ERROR'; object: Status };

/** One operation of a JSON patch (RFC 6902). A `test` that fails makes the server answer 422. */
export type JsonPatchOp =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; from: string; path: string };

/** What to change, and in which of the server's patch formats. */
export type Patch =
  | { type: 'json'; ops: readonly JsonPatchOp[] }
  /**
   * RFC 7386: `null` removes, lists are replaced whole. Put `metadata.resourceVersion` in it to get 409 instead of a
   * lost update.
   */
  | { type: 'merge'; body: unknown }
  /** Server-side apply; needs `fieldManager`. On a main resource it **creates** what is missing. */
  | { type: 'apply'; body: unknown };

export interface PatchOptions extends CallOptions {
  subresource?: string | undefined;
  /** Who owns the fields, with `apply`. */
  fieldManager?: string | undefined;
  /** Take fields over from other managers, with `apply`. */
  force?: boolean | undefined;
}

export interface ReplaceOptions extends CallOptions {
  subresource?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  /**
   * Precondition: this very object, not a successor of the same name; 409 otherwise. Leave it out only if any will do.
   */
  uid?: string | undefined;
  /** Precondition: unchanged since this version; 409 otherwise. */
  resourceVersion?: string | undefined;
  gracePeriodSeconds?: number | undefined;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
}

export interface LogOptions {
  container?: string | undefined;
  /** Goes on until the container ends. */
  follow?: boolean | undefined;
  /** Of the lines that there are, only so many of the last. */
  tailLines?: number | undefined;
  signal: AbortSignal;
}

/** The logs of containers, which only nodes have. */
export interface PodLogs {
  /** The newest file of a container's log, line by line; 400 when the container has not begun, 404 when the pod is gone. */
  podLog(ref: ObjectRef, options: LogOptions): AsyncIterable<LogLine>;
}

/**
 * The Kubernetes API as controllers need it. All failures are `KubeError`s.
 * {@link KubeClient} implements it; so may test doubles.
 */
export interface KubeApi {
  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: CallOptions): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<ListResult<T>>;
  create<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    body: NewObject<T>,
    options?: CallOptions,
  ): Promise<T>;
  patch<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, patch: Patch, options?: PatchOptions): Promise<T>;
  /** Replaces the object (`metadata.resourceVersion` guards against lost updates: 409). */
  replace<T extends KubeObject>(resource: Resource<T>, body: T, options?: ReplaceOptions): Promise<T>;
  /**
   * The object as it is now when it lives on for a while (grace period, finalizers), else undefined or its last state.
   */
  delete<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: DeleteOptions): Promise<T | undefined>;
  /** Events in the server's order. Ends when the server ends it; throws when the connection breaks. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
}
