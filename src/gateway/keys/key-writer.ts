import { randomBytes } from 'node:crypto';
import type { ApiKey, ApiKeyType } from '../../api/api-key.ts';
import { apiKeys } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isNotFound } from '../../kube/errors.ts';
import { refOf } from '../../kube/resources.ts';
import type { Store } from '../../kube/store.ts';
import { Problem } from '../problems.ts';
import { apiKeyOf, makeKey } from '../../keys/api-key.ts';

/** Makes and revokes keys. */
export class KeyWriter {
  readonly #api: KubeApi;
  readonly #keys: Store<ApiKey>;

  constructor(deps: { api: KubeApi; keys: Store<ApiKey> }) {
    this.#api = deps.api;
    this.#keys = deps.keys;
  }

  /** The key itself is told this once. */
  async create(namespace: string, type: ApiKeyType, displayName: string): Promise<{ text: string; key: ApiKey }> {
    const text = makeKey(type, randomBytes);
    const key = await this.#api.create(apiKeys, namespace, apiKeyOf(text, type, displayName));
    this.#keys.writeThrough(key);
    return { text, key };
  }

  /** The key stays in lists, and opens nothing any more. @throws Problem NotFound */
  async revoke(key: ApiKey): Promise<void> {
    const body = { metadata: { uid: key.metadata.uid }, spec: { revoked: true } };
    try {
      this.#keys.writeThrough(await this.#api.patch(apiKeys, refOf(key), { type: 'merge', body }));
    } catch (error) {
      if (isNotFound(error)) throw new Problem('NotFound', { error: 'Key not found', cause: error });
      throw error;
    }
  }
}
