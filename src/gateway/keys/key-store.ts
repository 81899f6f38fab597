import type { ApiKey } from '../../api/api-key.ts';
import type { Store } from '../../kube/store.ts';
import { hashOf, MAX_KEY_LENGTH } from '../../keys/api-key.ts';

/** Indexes of the store of keys. */
const BY_HASH = 'hash';
const BY_NAMESPACE = 'namespace';

export const keyIndexes: Record<string, (key: ApiKey) => string[]> = {
  [BY_HASH]: ({ spec }) => [spec.sha256],
  [BY_NAMESPACE]: ({ metadata }) => [metadata.namespace ?? ''],
};

/** The keys of the REST API, as their watch shows them: one that is revoked is of no use within moments. */
export class KeyStore {
  readonly #keys: Store<ApiKey>;

  /** @param keys with {@link keyIndexes} */
  constructor(keys: Store<ApiKey>) {
    this.#keys = keys;
  }

  /**
   * The key with this text, if it is good. Of several objects for one key each would have to be revoked.
   *
   * Whoever may make ApiKeys in a namespace of theirs could write down the hash of a key that they have seen, such as the public one of an
   * app, and have its calls: so the key belongs to where its first object is, whatever has become of that one.
   */
  find(text: string): ApiKey | undefined {
    if (text.length > MAX_KEY_LENGTH) return undefined;
    const all = this.#keys.byIndex(BY_HASH, hashOf(text)).sort((a, b) => newestFirst(b, a));
    const owner = all[0]?.metadata.namespace;
    // Nobody can tell whose it was first.
    if (all.some(({ metadata }) => metadata.namespace !== owner && isSameTime(metadata, all[0]?.metadata)))
      return undefined;
    return all.find((key) => key.metadata.namespace === owner && isGood(key));
  }

  /** Calls `listener` after each change of any key. Returns what ends that. */
  onChange(listener: () => void): () => void {
    return this.#keys.subscribe(listener);
  }

  /** All keys of a namespace: good ones first, and among these the newest. */
  ofOrganization(namespace: string): ApiKey[] {
    return this.#keys
      .byIndex(BY_NAMESPACE, namespace)
      .sort((a, b) => Number(isGood(b)) - Number(isGood(a)) || newestFirst(a, b));
  }
}

/** Whether it opens anything. */
export function isGood({ spec, metadata }: ApiKey): boolean {
  return spec.revoked !== true && metadata.deletionTimestamp === undefined;
}

function isSameTime(a: ApiKey['metadata'], b: ApiKey['metadata'] | undefined): boolean {
  return a.creationTimestamp === b?.creationTimestamp;
}

function newestFirst({ metadata: a }: ApiKey, { metadata: b }: ApiKey): number {
  return b.creationTimestamp.localeCompare(a.creationTimestamp) || a.name.localeCompare(b.name);
}
