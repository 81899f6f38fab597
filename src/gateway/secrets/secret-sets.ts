import { labels, managedBy } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isAlreadyExists, isDenied, isInvalid, isNotFound } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import { configMaps, secrets } from '../../kube/resources.ts';
import { Problem } from '../problems.ts';
import { INDEX_NAME, indexEntries, indexRemoval, readIndex, type SecretSet } from './set-index.ts';

const FIELD_MANAGER = 'bullpen-gateway';
const DOCKER = 'kubernetes.io/dockerconfigjson';

/**
 * Sets of secrets: Secrets that become environment variables of agents, or pull their images. They are written and never read; what there is
 * is in the index. A Secret that somebody else has made is not touched: it can be referenced.
 */
export class SecretSets {
  readonly #api: KubeApi;

  constructor({ api }: { api: KubeApi }) {
    this.#api = api;
  }

  async list(namespace: string): Promise<SecretSet[]> {
    const index = await find(this.#api, configMaps, { namespace, name: INDEX_NAME });
    return readIndex(index?.data ?? {});
  }

  /** @throws Problem SetNotFound */
  async get(namespace: string, name: string): Promise<SecretSet> {
    const found = (await this.list(namespace)).find((set) => set.name === name);
    if (found === undefined) throw new Problem('SetNotFound');
    return found;
  }

  /** Whether there is a Secret of this name, be it a set or not: an Agent may use any. */
  async exists(namespace: string, name: string): Promise<boolean> {
    try {
      await this.#test(namespace, name, '/metadata/name', name);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      // A policy on who may change Secrets: there is one, then.
      if (isDenied(error)) return true;
      throw error;
    }
  }

  /** Adds these values to a set, or makes it. @throws Problem BadRequest or Conflict */
  async put(namespace: string, name: string, values: Readonly<Record<string, string>>): Promise<void> {
    const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, base64(value)]));
    const set: SecretSet = { name, type: 'secret', source: 'own', keys: Object.keys(values) };
    await this.#write(namespace, set, { type: 'Opaque', data });
  }

  /** @param auth base64 of `user:token` */
  async putImagePull(namespace: string, name: string, host: string, auth: string): Promise<void> {
    const config = JSON.stringify({ auths: { [host]: { auth } } });
    const set: SecretSet = { name, type: 'imagePullSecret', source: 'own', keys: [] };
    await this.#write(namespace, set, { type: DOCKER, data: { '.dockerconfigjson': base64(config) } });
  }

  /** Makes a set of a Secret that is there. */
  async reference(namespace: string, name: string, type: SecretSet['type']): Promise<void> {
    const known = (await this.list(namespace)).find((set) => set.name === name);
    if (known?.source === 'own') throw new Problem('Conflict', { error: `Secret set '${name}' exists already` });
    await this.#merge(namespace, indexEntries({ name, type, source: 'referenced', keys: [] }));
  }

  /** @throws Problem SetNotFound */
  async delete(namespace: string, name: string): Promise<void> {
    const set = await this.get(namespace, name);
    if (set.source === 'own') await this.#api.delete(secrets, { namespace, name }).catch(unlessGone);
    await this.#merge(namespace, indexRemoval(set));
  }

  /** @throws Problem SetNotFound */
  async deleteKey(namespace: string, name: string, key: string): Promise<void> {
    const set = await this.get(namespace, name);
    if (!set.keys.includes(key)) throw new Problem('SetNotFound', { error: 'Secret not found' });
    const body = { data: { [key]: null } };
    await this.#api.patch(secrets, { namespace, name }, { type: 'merge', body }).catch(unlessGone);
    await this.#merge(namespace, indexRemoval(set, key));
  }

  async #write(
    namespace: string,
    set: SecretSet,
    { type, data }: { type: string; data: Record<string, string> },
  ): Promise<void> {
    const { name } = set;
    const known = (await this.list(namespace)).find((each) => each.name === name);
    if (known?.source === 'referenced')
      throw new Problem('BadRequest', { error: `Secret set '${name}' is somebody else's Secret: change it there` });
    if (known !== undefined && known.type !== set.type)
      throw new Problem('BadRequest', {
        error: `Cannot update existing ${words[known.type]} to ${words[set.type]}`,
      });
    const metadata = { name, labels: { [labels.managedBy]: managedBy, [labels.secretSet]: set.type } };
    const make = () => this.#api.create(secrets, namespace, { metadata, type, data });
    try {
      if (known === undefined) await make();
      else await this.#add(namespace, name, data);
    } catch (error) {
      if (isNotFound(error)) await make();
      else if (isAlreadyExists(error)) await this.#add(namespace, name, data, await this.#uidOfOurs(namespace, set));
      else throw refusal(error);
    }
    await this.#merge(namespace, indexEntries(set));
  }

  async #add(namespace: string, name: string, data: Record<string, string>, uid?: string): Promise<void> {
    const body = { ...(uid !== undefined && { metadata: { uid } }), data };
    await this.#api.patch(secrets, { namespace, name }, { type: 'merge', body });
  }

  /**
   * The uid of a Secret that is a set by its label, and not in the index: the same request comes twice at one time, or came before and ended
   * halfway.
   *
   * @throws Problem Conflict when it is somebody else's
   */
  async #uidOfOurs(namespace: string, { name, type }: SecretSet): Promise<string> {
    const path = `/metadata/labels/${labels.secretSet.replace('/', '~1')}`;
    try {
      return await this.#test(namespace, name, path, type);
    } catch (error) {
      if (!isInvalid(error)) throw error;
      throw new Problem('Conflict', {
        error: `There is a Secret '${name}' already that is no set: take another name, or reference it`,
        cause: error,
      });
    }
  }

  /** The uid of the Secret of which this holds. A patch that only tests tells; to read Secrets is nothing that the gateway may do. */
  async #test(namespace: string, name: string, path: string, value: string): Promise<string> {
    const ops = [{ op: 'test' as const, path, value }];
    return (await this.#api.patch(secrets, { namespace, name }, { type: 'json', ops })).metadata.uid;
  }

  /** Entries with null go. */
  async #merge(namespace: string, data: Record<string, string | null>): Promise<void> {
    const ref = { namespace, name: INDEX_NAME };
    try {
      await this.#api.patch(configMaps, ref, { type: 'merge', body: { data } }, { fieldManager: FIELD_MANAGER });
    } catch (error) {
      if (!isNotFound(error)) throw refusal(error);
      const made = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null)) as Record<
        string,
        string
      >;
      const metadata = { name: INDEX_NAME, labels: { [labels.managedBy]: managedBy } };
      try {
        await this.#api.create(configMaps, namespace, { metadata, data: made });
      } catch (again) {
        if (!isAlreadyExists(again)) throw again;
        await this.#api.patch(configMaps, ref, { type: 'merge', body: { data } }, { fieldManager: FIELD_MANAGER });
      }
    }
  }
}

const words = { secret: 'regular secrets', imagePullSecret: 'image pull secrets' } as const;

/** What Kubernetes does not take of a set is its size: all else has been looked at. */
function refusal(error: unknown): unknown {
  if (!isInvalid(error) || isDenied(error)) return error;
  return new Problem('BadRequest', {
    error: 'It would be too large: a set holds at most 1 MiB, and an organization only so many of them',
    cause: error,
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function unlessGone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
