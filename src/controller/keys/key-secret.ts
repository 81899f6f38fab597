import { annotations } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import type { Secret } from '../../kube/objects.ts';
import { secrets, type ObjectRef } from '../../kube/resources.ts';
import { hasKeys, keysData, makeKey, newKeysSecret, purposes, readKeys, type KeySet, type Purpose } from './key-set.ts';
import { KEEP_MS, KEEP_SEALING_MS, planKeys, type KeySituation } from './plan-keys.ts';

/** The Secret as it is, and the keys in it. */
export type Found = { secret: Secret } & { [P in Purpose]: KeySet<P> };

/** The Secret of the keys: made when it is not there, and kept up as its annotation asks. */
export class KeySecret {
  readonly #api: KubeApi;
  readonly #ref: ObjectRef & { namespace: string };
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(deps: { api: KubeApi; secret: { namespace: string; name: string }; clock: Clock; logger: Logger }) {
    this.#api = deps.api;
    this.#ref = deps.secret;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  /** For people. */
  get name(): string {
    return `the Secret ${this.#ref.namespace}/${this.#ref.name} of the signing keys`;
  }

  /** What is in the Secret; makes what is missing. Rejects when something else is there. */
  async look(signal: AbortSignal): Promise<Found> {
    let secret = (await this.#read(signal)) ?? (await this.#create(signal));
    // Made by a version that did not seal. Nothing is added to what is not ours.
    if (!hasKeys(secret, 'sealing') && (await readKeys(secret, 'signing')) !== undefined) {
      secret = await this.#replace(secret, { data: await this.#newKeys('sealing') }, signal);
    }
    return await this.#found(secret);
  }

  /**
   * Adds and drops keys where that is due, and takes away the annotation that asked for it, in one write.
   *
   * @returns what is in the Secret then; undefined when nothing was due
   */
  async tend(found: Found, kidsInUse: KeySituation['kidsInUse'], signal: AbortSignal): Promise<Found | undefined> {
    const [signing, sealing] = await Promise.all([
      this.#due('signing', found, { keepMs: KEEP_MS, kidsInUse }),
      // No pod depends on these.
      this.#due('sealing', found, { keepMs: KEEP_SEALING_MS, kidsInUse: [] }),
    ]);
    if (signing === undefined && sealing === undefined) return undefined;
    const { [annotations.rotate]: _done, ...others } = found.secret.metadata.annotations ?? {};
    const changes = { annotations: others, data: { ...signing, ...sealing } };
    return await this.#found(await this.#replace(found.secret, changes, signal));
  }

  /** The data with the keys as they are to be; undefined when they may stay as they are. */
  async #due(
    purpose: Purpose,
    { secret, [purpose]: { stored } }: Found,
    situation: Pick<KeySituation, 'keepMs' | 'kidsInUse'>,
  ): Promise<Record<string, string> | undefined> {
    const now = this.#clock.now();
    const plan = planKeys({
      ...situation,
      keys: stored.map(({ kid, createdAt }) => ({ kid, createdAt: Date.parse(createdAt) })),
      rotate: secret.metadata.annotations?.[annotations.rotate] !== undefined,
      now,
    });
    if (plan === undefined) return undefined;
    const made = plan.make ? [await makeKey(purpose, now)] : [];
    return keysData(purpose, [...made, ...stored.filter(({ kid }) => plan.keep.includes(kid))]);
  }

  async #found(secret: Secret): Promise<Found> {
    const [signing, sealing] = await Promise.all([readKeys(secret, 'signing'), readKeys(secret, 'sealing')]);
    if (signing !== undefined && sealing !== undefined) return { secret, signing, sealing };
    const { file } = purposes[signing === undefined ? 'signing' : 'sealing'];
    throw new Error(
      `${this.name} holds no keys that can be used (${file}): put back what was in it, or delete it for new ones, which pods of before do not trust`,
    );
  }

  async #read(signal: AbortSignal): Promise<Secret | undefined> {
    try {
      return await this.#api.get(secrets, this.#ref, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #create(signal: AbortSignal): Promise<Secret> {
    const { namespace, name } = this.#ref;
    const [signing, sealing] = await Promise.all([this.#newKeys('signing'), this.#newKeys('sealing')]);
    try {
      const wanted = newKeysSecret(name, { ...signing, ...sealing });
      const created = await this.#api.create(secrets, namespace, wanted, { signal });
      this.#logger.info({ secret: name }, 'made the Secret of the signing keys, which was not there');
      return created;
    } catch (error) {
      if (isAlreadyExists(error)) return await this.#api.get(secrets, this.#ref, { signal });
      throw error;
    }
  }

  async #newKeys(purpose: Purpose): Promise<Record<string, string>> {
    return keysData(purpose, [await makeKey(purpose, this.#clock.now())]);
  }

  /** With its resource version, so that nobody's change is lost. */
  async #replace(
    secret: Secret,
    { annotations, data }: { annotations?: Record<string, string>; data: Record<string, string> },
    signal: AbortSignal,
  ): Promise<Secret> {
    const metadata = { ...secret.metadata, ...(annotations && { annotations }) };
    return await this.#api.replace(secrets, { ...secret, metadata, data: { ...secret.data, ...data } }, { signal });
  }
}
