import { Fifo } from './fifo.ts';
import type { KubeObject } from './objects.ts';
import { compareVersions } from './resource-version.ts';
import type { ObjectRef } from './resources.ts';
import { StoreIndex } from './store-index.ts';

/** What happened to an object, as a listener sees it. */
export type StoreChange<T extends KubeObject> =
  | { type: 'added'; object: T; old?: undefined }
  | { type: 'updated'; object: T; old: T }
  | { type: 'deleted'; object: T; old?: undefined };

export interface StoreOptions<T extends KubeObject> {
  /** The namespaces that the store covers, each listed and watched by itself; all, as one, when left out. */
  namespaces?: readonly string[] | undefined;
  /** By name: the values under which an object is found. Must be pure. An object that one throws at is found under no value. */
  indexes?: Record<string, (object: T) => readonly string[]> | undefined;
  /**
   * Slims what `writeThrough` brings, as the informer does with all else. Must return a new object rather than change
   * its argument.
   */
  transform?: ((object: T) => T) | undefined;
  /** Told when a listener or an index threw. The other listeners, other objects and the store are not affected. */
  onListenerError?: ((error: unknown) => void) | undefined;
}

/** `namespace/name`, or `name` when there is no namespace. */
export function keyOf(object: KubeObject | ObjectRef): string {
  const { namespace, name } = 'metadata' in object ? object.metadata : object;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/**
 * A cache of one resource in which we read our own writes.
 *
 * Each scope (a namespace, or all) is *complete up to* a resource version: the newest of its lists, events and
 * bookmarks. The server delivers events in the order of versions, so at that version the store shows exactly what the
 * server has; on top of it lie the replies to our own writes that the watch has not shown yet. From this follow all
 * rules:
 *
 * - An object only ever gives way to a newer version of itself, or to a newer successor of the same name.
 * - What is absent and not newer than the completeness is gone, and a late reply or event does not bring it back.
 * - A reply that the watch passes over without showing it is outside the selection, or gone: it is dropped.
 *
 * Objects are shared, not copied: never change one.
 */
export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, StoreIndex<T>>();
  readonly #listeners = new Set<(change: StoreChange<T>) => void>();
  readonly #options: StoreOptions<T>;
  readonly #namespaces: ReadonlySet<string> | undefined;
  /** By scope: the version up to which it is complete. */
  readonly #complete = new Map<string, string>();
  /**
   * Keys of objects that came by `writeThrough` and that no list or event has shown yet. Small: as many as are under
   * way.
   */
  readonly #unconfirmed = new Set<string>();
  /** Changes that listeners have yet to hear; they may cause more while they listen. */
  readonly #changes = new Fifo<StoreChange<T>>();
  #notifying = false;

  constructor(options: StoreOptions<T> = {}) {
    this.#options = options;
    this.#namespaces = options.namespaces && new Set(options.namespaces);
    // One object that an index cannot read must not keep all others from being seen.
    const guarded = (values: (object: T) => readonly string[]) => (object: T) => {
      try {
        return values(object);
      } catch (error) {
        this.#options.onListenerError?.(error);
        return [];
      }
    };
    for (const [name, values] of Object.entries(options.indexes ?? {}))
      this.#indexes.set(name, new StoreIndex(guarded(values)));
  }

  /** How many objects there are. */
  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  has(key: string): boolean {
    return this.#objects.has(key);
  }

  /** All objects, without making an array of them. Do not change the store meanwhile. */
  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  /** All objects. */
  list(): T[] {
    return [...this.#objects.values()];
  }

  /** The objects with this value in an index. */
  byIndex(index: string, value: string): T[] {
    return [...this.#index(index).get(value)];
  }

  /** How many objects have this value in an index. */
  countByIndex(index: string, value: string): number {
    return this.#index(index).count(value);
  }

  /** The values that an index has at present. */
  indexValues(index: string): string[] {
    return this.#index(index).values();
  }

  /** The version up to which a scope is complete; undefined before its first list. */
  completeUpTo(scope?: string): string | undefined {
    return this.#complete.get(scope ?? '');
  }

  /** Calls `listener` for every change from now on, in order. The objects that are there already are not told. */
  subscribe(listener: (change: StoreChange<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One event of the scope's watch. */
  applyWatch(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    const key = keyOf(object);
    const stored = this.#objects.get(key);
    if (type === 'DELETED') {
      // The version is that of the deletion, so what is not newer is gone. It may be equal: the reply to a DELETE
      // carries it, too.
      if (stored !== undefined && !newer(stored, object.metadata.resourceVersion)) this.#remove(key, stored);
    } else if (this.#isNews(object, stored)) {
      this.#put(key, object, stored);
      this.#unconfirmed.delete(key);
    } else if (stored !== undefined && !newer(stored, object.metadata.resourceVersion)) {
      this.#unconfirmed.delete(key);
    }
    this.advance(object.metadata.resourceVersion, this.#scopeOf(object));
    this.#notify();
  }

  /** A bookmark: the scope's watch has delivered everything up to this version. */
  advance(version: string, scope = ''): void {
    const before = this.#complete.get(scope);
    if (before !== undefined && compareVersions(version, before) <= 0) return;
    this.#complete.set(scope, version);
    for (const key of this.#unconfirmed) {
      const stored = this.#objects.get(key);
      if (stored !== undefined && (this.#scopeOf(stored) !== scope || newer(stored, version))) continue;
      if (stored !== undefined) this.#remove(key, stored);
      this.#unconfirmed.delete(key);
    }
    this.#notify();
  }

  /**
   * A complete list of a scope, as of `version`. What is newer than the list stays; what is missing from it goes.
   * `rewound`: the server's history has gone back (a restored backup), so the list is right whatever the versions say.
   */
  replaceAll(items: Iterable<T>, version: string, { scope = '', rewound = false } = {}): void {
    const listed = new Map<string, T>();
    for (const item of items) listed.set(keyOf(item), item);
    const before = rewound ? undefined : this.#complete.get(scope);
    const stale = before !== undefined && compareVersions(version, before) < 0;

    for (const [key, stored] of this.#objects) {
      if (this.#scopeOf(stored) !== scope || (!rewound && newer(stored, version))) continue;
      if (!listed.has(key)) this.#remove(key, stored);
      this.#unconfirmed.delete(key);
    }
    for (const [key, item] of listed) {
      const stored = this.#objects.get(key);
      if (stored === undefined) {
        // Absent here, and yet in a list that is older than what we know: deleted in between.
        if (!stale) this.#put(key, item, undefined);
      } else if (newer(item, stored.metadata.resourceVersion) || (rewound && stored !== item)) {
        this.#put(key, item, stored);
      }
    }
    if (!stale) this.#complete.set(scope, version);
    this.#notify();
  }

  /**
   * The server's reply to a write of our own. It shows at once, unless what we have is newer or it is known to be gone.
   * The reply to a DELETE must not come here when the object is gone by it.
   */
  writeThrough(object: T): void {
    const { namespace } = object.metadata;
    if (this.#namespaces !== undefined && (namespace === undefined || !this.#namespaces.has(namespace))) return;
    const key = keyOf(object);
    const stored = this.#objects.get(key);
    if (!this.#isNews(object, stored)) return;
    this.#put(key, this.#options.transform?.(object) ?? object, stored);
    this.#unconfirmed.add(key);
    this.#notify();
  }

  /** A fresh read has found that this object is gone. What comes after it under its name is another one. */
  removeGone(object: T): void {
    const key = keyOf(object);
    const stored = this.#objects.get(key);
    if (stored === undefined || stored.metadata.uid !== object.metadata.uid) return;
    this.#remove(key, stored);
    this.#notify();
  }

  #isNews(object: T, stored: T | undefined): boolean {
    const known = stored?.metadata.resourceVersion ?? this.#complete.get(this.#scopeOf(object));
    return known === undefined || newer(object, known);
  }

  #put(key: string, object: T, stored: T | undefined): void {
    const successor = stored !== undefined && stored.metadata.uid !== object.metadata.uid;
    if (successor) this.#remove(key, stored);
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) index.put(key, object, successor ? undefined : stored);
    this.#changes.push(
      stored === undefined || successor ? { type: 'added', object } : { type: 'updated', object, old: stored },
    );
  }

  #remove(key: string, stored: T): void {
    this.#objects.delete(key);
    this.#unconfirmed.delete(key);
    for (const index of this.#indexes.values()) index.remove(key, stored);
    this.#changes.push({ type: 'deleted', object: stored });
  }

  /** Tells listeners in the order of the changes, even when one of them makes another change. */
  #notify(): void {
    if (this.#notifying) return;
    this.#notifying = true;
    for (let change = this.#changes.shift(); change !== undefined; change = this.#changes.shift()) {
      for (const listener of this.#listeners) {
        try {
          listener(change);
        } catch (error) {
          this.#options.onListenerError?.(error);
        }
      }
    }
    this.#notifying = false;
  }

  #scopeOf(object: T): string {
    return this.#namespaces === undefined ? '' : (object.metadata.namespace ?? '');
  }

  #index(name: string): StoreIndex<T> {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new RangeError(`the store has no index "${name}"`);
    return index;
  }
}

function newer(object: KubeObject, version: string): boolean {
  return compareVersions(object.metadata.resourceVersion, version) > 0;
}
