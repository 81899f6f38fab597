import type { KubeObject } from './objects.ts';

/** Finds the objects of a store by values derived from them. */
export class StoreIndex<T extends KubeObject> {
  readonly #valuesOf: (object: T) => readonly string[];
  readonly #buckets = new Map<string, Map<string, T>>();

  constructor(valuesOf: (object: T) => readonly string[]) {
    this.#valuesOf = valuesOf;
  }

  get(value: string): Iterable<T> {
    return this.#buckets.get(value)?.values() ?? [];
  }

  count(value: string): number {
    return this.#buckets.get(value)?.size ?? 0;
  }

  values(): string[] {
    return [...this.#buckets.keys()];
  }

  /** `old` is the object that was under this key. */
  put(key: string, object: T, old: T | undefined): void {
    if (old !== undefined) this.remove(key, old);
    for (const value of this.#valuesOf(object)) {
      let bucket = this.#buckets.get(value);
      if (bucket === undefined) this.#buckets.set(value, (bucket = new Map<string, T>()));
      bucket.set(key, object);
    }
  }

  remove(key: string, object: T): void {
    for (const value of this.#valuesOf(object)) {
      const bucket = this.#buckets.get(value);
      bucket?.delete(key);
      if (bucket?.size === 0) this.#buckets.delete(value);
    }
  }
}
