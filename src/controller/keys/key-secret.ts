import { annotations } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isAlreadyExists } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import type { Logger } from '../../kube/logger.ts';
import type { Secret } from '../../kube/objects.ts';
import { secrets, type ObjectRef } from '../../kube/resources.ts';
import { hasKeys, keysData, makeKey, newKeysSecret, purposes, readKeys, type KeySet, type Purpose } from './key-set.ts';
import { KEEP_MS, KEEP_SEALING_MS, planKeys, type KeySituation } from './plan-keys.ts';

/** The Secret as it is, and the keys in it. */
export interface Found<P extends Purpose> {
  secret: Secret;
  sets: { [Q in P]: KeySet<Q> };
}

export interface KeySecretOptions<P extends Purpose> {
  api: KubeApi;
  secret: { namespace: string; name: string };
  /** What the Secret holds keys for. */
  purposes: readonly P[];
  clock: Clock;
  logger: Logger;
}

/** A Secret of keys: made when it is not there, and kept up as its annotation asks. */
export class KeySecret<P extends Purpose> {
  readonly #api: KubeApi;
  readonly #ref: ObjectRef & { namespace: string };
  readonly #purposes: readonly P[];
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(options: KeySecretOptions<P>) {
    this.#api = options.api;
    this.#ref = options.secret;
    this.#purposes = options.purposes;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** For people. */
  get name(): string {
    return `the Secret ${this.#ref.namespace}/${this.#ref.name} of the signing keys`;
  }

  /** What is in the Secret; makes what is missing. Rejects when something else is there. */
  async look(signal: AbortSignal): Promise<Found<P>> {
    let secret = (await find(this.#api, secrets, this.#ref, { signal })) ?? (await this.#create(signal));
    const missing = this.#purposes.filter((purpose) => !hasKeys(secret, purpose));
    // Made by a version that had keys for less. Nothing is added to what is not ours.
    if (missing.length > 0 && missing.length < this.#purposes.length && (await this.#isSound(secret, missing))) {
      secret = await this.#replace(secret, { data: await this.#newKeys(missing) }, signal);
    }
    return await this.#found(secret);
  }

  /**
   * Adds and drops keys where that is due, and takes away the annotation that asked for it, in one write.
   *
   * @returns what is in the Secret then; undefined when nothing was due
   */
  async tend(
    found: Found<P>,
    kidsInUse: KeySituation['kidsInUse'],
    signal: AbortSignal,
  ): Promise<Found<P> | undefined> {
    const due = await Promise.all(this.#purposes.map((purpose) => this.#due(purpose, found, kidsInUse)));
    if (due.every((data) => data === undefined)) return undefined;
    const { [annotations.rotate]: _done, ...others } = found.secret.metadata.annotations ?? {};
    const changes = { annotations: others, data: Object.assign({}, ...due) as Record<string, string> };
    return await this.#found(await this.#replace(found.secret, changes, signal));
  }

  /** The data with the keys as they are to be; undefined when they may stay as they are. */
  async #due(
    purpose: P,
    { secret, sets }: Found<P>,
    kidsInUse: KeySituation['kidsInUse'],
  ): Promise<Record<string, string> | undefined> {
    const now = this.#clock.now();
    const { stored } = sets[purpose];
    const plan = planKeys({
      // No pod depends on keys that seal.
      ...(purpose === 'signing' ? { keepMs: KEEP_MS, kidsInUse } : { keepMs: KEEP_SEALING_MS, kidsInUse: [] }),
      keys: stored.map(({ kid, createdAt }) => ({ kid, createdAt: Date.parse(createdAt) })),
      rotate: secret.metadata.annotations?.[annotations.rotate] !== undefined,
      now,
    });
    if (plan === undefined) return undefined;
    const made = plan.make ? [await makeKey(purpose, now)] : [];
    return keysData(purpose, [...made, ...stored.filter(({ kid }) => plan.keep.includes(kid))]);
  }

  async #found(secret: Secret): Promise<Found<P>> {
    const entries: [P, KeySet][] = [];
    for (const purpose of this.#purposes) {
      const set = await readKeys(secret, purpose);
      if (set === undefined) {
        throw new Error(
          `${this.name} holds no keys that can be used (${purposes[purpose].file}): put back what was in it, or delete it for new ones, which pods of before do not trust`,
        );
      }
      entries.push([purpose, set]);
    }
    return { secret, sets: Object.fromEntries(entries) as Found<P>['sets'] };
  }

  /** Whether all keys but those can be used. */
  async #isSound(secret: Secret, missing: readonly P[]): Promise<boolean> {
    const there = this.#purposes.filter((purpose) => !missing.includes(purpose));
    const sets = await Promise.all(there.map((purpose) => readKeys(secret, purpose)));
    return sets.every((set) => set !== undefined);
  }

  async #create(signal: AbortSignal): Promise<Secret> {
    const { namespace, name } = this.#ref;
    const wanted = newKeysSecret(name, await this.#newKeys(this.#purposes));
    try {
      const created = await this.#api.create(secrets, namespace, wanted, { signal });
      this.#logger.info({ secret: name }, 'made the Secret of the signing keys, which was not there');
      return created;
    } catch (error) {
      if (isAlreadyExists(error)) return await this.#api.get(secrets, this.#ref, { signal });
      throw error;
    }
  }

  async #newKeys(wanted: readonly P[]): Promise<Record<string, string>> {
    const now = this.#clock.now();
    const data = await Promise.all(wanted.map(async (purpose) => keysData(purpose, [await makeKey(purpose, now)])));
    return Object.assign({}, ...data) as Record<string, string>;
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
