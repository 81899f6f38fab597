import { isDeepStrictEqual } from 'node:util';
import type { DeleteOptions, Patch, Selection } from '../../src/kube/api.ts';
import type { KubeObject, NewObject, ObjectMeta, Pod } from '../../src/kube/objects.ts';
import { apiVersionOf, type ObjectRef, type Resource } from '../../src/kube/resources.ts';
import { keyOf } from '../../src/kube/store.ts';
import { alreadyExists, conflict, expired, invalid, notFound } from './answers.ts';
import { planDeletion, vanishesWithUpdate, wholeSeconds } from './deletion.ts';
import { applyJsonPatch, applyMergePatch, PatchError } from './json-patch.ts';
import { toJson } from './json.ts';
import { matches } from './selectors.ts';
import { checkCreate, hasStatus, isGraceful, mergeUpdate } from './validation.ts';

/** One change of the stored state, as it is in etcd. */
export interface Commit {
  version: number;
  /** Milliseconds since the epoch, by the server's clock. */
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  resource: Resource;
  /** For `DELETED` the last state, with the version of the deletion. */
  object: KubeObject;
  old: KubeObject | undefined;
  /** Who asked for it. */
  by: string;
}

type Loose = KubeObject & { spec?: unknown; status?: unknown };

/**
 * The API server and its etcd in memory: every request is carried out at once, in one step, or throws a `KubeError` as the
 * real client would. What can go wrong on the way to it and back is `network.ts`.
 *
 * Objects are frozen: whoever changes what a cache gave him fails.
 */
export class ApiServer {
  /** All that was ever committed, in order. */
  readonly commits: Commit[] = [];
  readonly #now: () => number;
  readonly #stored = new Map<string, Map<string, Loose>>();
  readonly #history = new Map<string, Commit[]>();
  readonly #listeners = new Set<(commit: Commit) => void>();
  #version = 100;
  #compacted = 0;
  #uids = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get version(): string {
    return String(this.#version);
  }

  /** Calls `listener` at every commit, before the answer to the request is known to anybody. */
  subscribe(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  find<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef): T | undefined {
    return this.#of(resource).get(keyOf(ref)) as T | undefined;
  }

  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef): T {
    const object = this.find(resource, ref);
    if (object === undefined) throw notFound(describe(resource, ref));
    return object;
  }

  list<T extends KubeObject>(resource: Resource<T>, selection: Selection = {}): T[] {
    return [...this.#of(resource).values()].filter((object) => matches(object, selection)) as unknown as T[];
  }

  create<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    body: NewObject<T>,
    by: string,
  ): T {
    const given = toJson(body) as unknown as Loose;
    const metadata = { ...given.metadata, ...(namespace !== undefined && { namespace }) };
    if (this.#of(resource).has(keyOf({ ...given, metadata }))) throw alreadyExists(describe(resource, metadata));
    const object: Loose = {
      ...given,
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      metadata: {
        ...metadata,
        uid: `${resource.kind.toLowerCase()}-${++this.#uids}`,
        generation: 1,
        creationTimestamp: wholeSeconds(this.#now()),
        resourceVersion: '',
      },
    };
    if (hasStatus(resource)) delete object.status;
    if (resource.plural === 'pods') object.status = { phase: 'Pending' };
    checkCreate(resource, object);
    return this.#commit('ADDED', resource, object, undefined, by) as unknown as T;
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    { subresource, by }: { subresource?: string | undefined; by: string },
  ): T {
    const stored = this.get(resource, ref);
    if (patch.type === 'apply') throw new Error('the model has no server-side apply');
    let wanted: unknown;
    try {
      wanted =
        patch.type === 'json' ? applyJsonPatch(stored, toJson(patch.ops)) : applyMergePatch(stored, toJson(patch.body));
    } catch (error) {
      if (error instanceof PatchError) throw invalid(error.message);
      throw error;
    }
    return this.#update(resource, stored, wanted as Loose, subresource, by) as unknown as T;
  }

  replace<T extends KubeObject>(
    resource: Resource<T>,
    body: T,
    { subresource, by }: { subresource?: string | undefined; by: string },
  ): T {
    const wanted = toJson(body) as unknown as Loose;
    return this.#update(resource, this.get(resource, body.metadata), wanted, subresource, by) as unknown as T;
  }

  delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    { by, ...options }: DeleteOptions & { by: string },
  ): T | undefined {
    const stored: Loose = this.get(resource, ref);
    const { uid, resourceVersion } = stored.metadata;
    if (options.uid !== undefined && options.uid !== uid)
      throw conflict(`the UID in the precondition (${options.uid}) does not match the UID in record (${uid})`);
    if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion)
      throw conflict('the ResourceVersion in the precondition does not match');
    const deletion = planDeletion(stored, options, isGraceful(resource), this.#now());
    switch (deletion.kind) {
      case 'unchanged':
        return stored as unknown as T;
      case 'marked':
        return this.#store(resource, stored, { ...stored, metadata: deletion.metadata }, by) as unknown as T;
      case 'gone': {
        const last = this.#commit('DELETED', resource, stored, stored, by);
        // Pods come back as they were; of all else only a Status says that it is gone.
        return isGraceful(resource) ? (last as unknown as T) : undefined;
      }
    }
  }

  /** For the kubelet, the scheduler and the like: changes an object without the checks that clients meet. */
  force<T extends KubeObject>(resource: Resource<T>, object: T, change: (object: T) => T, by: string): T | undefined {
    const stored = this.find(resource, object.metadata);
    if (stored?.metadata.uid !== object.metadata.uid) return undefined;
    const next: Loose = toJson(change(stored));
    return this.#store(resource, stored, next, by) as unknown as T;
  }

  /** What happened to a resource after a version, oldest first. Throws 410 when that has been compacted. */
  since(resource: Resource, version: string): { commits: readonly Commit[]; from: number } {
    if (Number(version) < this.#compacted) throw expired();
    const commits = this.#historyOf(resource);
    const from = commits.findIndex((commit) => commit.version > Number(version));
    return { commits, from: from < 0 ? commits.length : from };
  }

  /** Forgets what has happened, as etcd does: watches from before now are refused with 410. */
  compact(): void {
    this.#compacted = this.#version;
  }

  #update(resource: Resource, stored: KubeObject, wanted: Loose, subresource: string | undefined, by: string): Loose {
    return this.#store(resource, stored, mergeUpdate(resource, stored, wanted, subresource), by);
  }

  #store(resource: Resource, stored: Loose, next: Loose, by: string): Loose {
    if (isDeepStrictEqual(stored, next)) return stored;
    if (vanishesWithUpdate(next.metadata)) return this.#commit('DELETED', resource, next, stored, by);
    const changed = !isDeepStrictEqual(stored.spec, next.spec);
    const generation = (stored.metadata.generation ?? 1) + (changed ? 1 : 0);
    return this.#commit('MODIFIED', resource, { ...next, metadata: { ...next.metadata, generation } }, stored, by);
  }

  #commit(type: Commit['type'], resource: Resource, next: Loose, old: Loose | undefined, by: string): Loose {
    const version = ++this.#version;
    const metadata: ObjectMeta = { ...next.metadata, resourceVersion: String(version) };
    const object = deepFreeze({ ...next, metadata });
    if (type === 'DELETED') this.#of(resource).delete(keyOf(object));
    else this.#of(resource).set(keyOf(object), object);
    const commit: Commit = { version, at: this.#now(), type, resource, object, old, by };
    this.commits.push(commit);
    this.#historyOf(resource).push(commit);
    for (const listener of this.#listeners) listener(commit);
    return object;
  }

  #of(resource: Resource): Map<string, Loose> {
    return entry(this.#stored, resource.plural, () => new Map<string, Loose>());
  }

  #historyOf(resource: Resource): Commit[] {
    return entry(this.#history, resource.plural, () => []);
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

function describe(resource: Resource, { name }: { name?: string }): string {
  return `${resource.plural} "${name ?? ''}"`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** Whether a commit shows a pod; narrows its objects. */
export function isPodCommit(commit: Commit): commit is Commit & { object: Pod; old: Pod | undefined } {
  return commit.resource.plural === 'pods';
}
