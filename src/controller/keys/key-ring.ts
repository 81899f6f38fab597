import { annotations } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import { sleep, type Clock } from '../../kube/clock.ts';
import { isAlreadyExists, isConflict, isForbidden, isNotFound, KubeError } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import type { Secret } from '../../kube/objects.ts';
import { secrets } from '../../kube/resources.ts';
import {
  keysData,
  makeKey,
  newKeysSecret,
  readKeys,
  type PrivateJwk,
  type PublicKey,
  type SigningKey,
} from './key-set.ts';
import { planKeys, type KeySituation } from './plan-keys.ts';
import { signToken, type TokenRequest } from './token.ts';

/** How often the Secret is looked at. */
const LOOK_MS = 30_000;
/** When a look at the start that failed is repeated. */
const RETRY_MS = 1_000;

export interface KeyRingOptions {
  api: KubeApi;
  secret: { namespace: string; name: string };
  /** The ids of the keys that each live pod trusts; undefined while that cannot be told of all of them. */
  kidsInUse: () => KeySituation['kidsInUse'];
  clock: Clock;
  logger: Logger;
}

/** A Secret and the keys in it. */
interface Found {
  secret: Secret;
  stored: PrivateJwk[];
}

/**
 * The keys with which the controller signs what it asks of pods. They are in one Secret, which the leader makes when there is none, and
 * which outlives it. Only the leader may use a ring: it writes.
 *
 * - The annotation `bullpen.dev/rotate` on the Secret asks for a new key. It comes first, and pods made from then on trust it as well as
 *   the old ones; see `planKeys` for when those go.
 * - A Secret that has been deleted is made again, with a new key alone: pods that trust none but the old ones take nothing more from us.
 * - One that cannot be read is left as it is, and the keys of before stay in use.
 */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #listeners = new Set<() => void>();
  #keys: readonly SigningKey[] = [];

  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  /** For pods that are made now, newest first; none before {@link load}. */
  get publicKeys(): PublicKey[] {
    return this.#keys.map(({ publicKey }) => publicKey);
  }

  /** The ids of the keys, newest first. */
  get kids(): string[] {
    return this.publicKeys.map(({ kid }) => kid);
  }

  /** Calls back whenever other keys are in use. Returns what ends that. */
  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A token, signed with the newest of the keys that the pod trusts; undefined when it trusts none of ours.
   *
   * @param knownKids the ids of the keys that the pod trusts
   */
  async sign(request: TokenRequest, knownKids: readonly string[]): Promise<string | undefined> {
    const key = this.#keys.find(({ publicKey }) => knownKids.includes(publicKey.kid));
    return key && (await signToken(key, request, this.#options.clock.now()));
  }

  /**
   * Reads the keys, or makes the first one. While the API server cannot be asked it keeps trying; it rejects when there are no keys to
   * be had until somebody does something, and says what.
   */
  async load(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    for (;;) {
      try {
        await this.#look(signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (isForbidden(error))
          throw new Error(`may not get or create ${this.#name}: see the rights in docs/security.md`, { cause: error });
        if (!(error instanceof KubeError)) throw error;
        logger.warn({ err: error }, 'the signing keys could not be read; trying again');
      }
      await sleep(clock, RETRY_MS, signal);
    }
  }

  /**
   * Keeps up with the Secret, and carries out what is asked of it, until the signal is aborted. A request that arrives after that does
   * no harm: it holds for the Secret as it was, and the next leader reads what is there.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    for (;;) {
      await sleep(clock, LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#tend(await this.#look(signal), signal);
      } catch (error) {
        // Somebody else has just changed it: the next look shows what it says now.
        if (signal.aborted || isConflict(error)) continue;
        logger.error({ err: error }, 'the signing keys could not be looked after; those of before stay in use');
      }
    }
  }

  /** Takes over what the Secret says, and makes it when there is none. */
  async #look(signal: AbortSignal): Promise<Found> {
    const secret = (await this.#read(signal)) ?? (await this.#create(signal));
    const found = await readKeys(secret);
    if (found === undefined) {
      throw new Error(
        `${this.#name} holds no keys that can be used: put back what was in it, or delete it for new ones, which pods of before do not trust`,
      );
    }
    this.#adopt(found.keys);
    return { secret, stored: found.stored };
  }

  async #read(signal: AbortSignal): Promise<Secret | undefined> {
    const { api, secret } = this.#options;
    try {
      return await api.get(secrets, secret, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #create(signal: AbortSignal): Promise<Secret> {
    const { api, clock, logger, secret } = this.#options;
    const wanted = newKeysSecret(secret.name, [await makeKey(clock.now())]);
    try {
      const created = await api.create(secrets, secret.namespace, wanted, { signal });
      logger.info({ secret: secret.name }, 'made the Secret of the signing keys, which was not there');
      return created;
    } catch (error) {
      if (isAlreadyExists(error)) return await api.get(secrets, secret, { signal });
      throw error;
    }
  }

  /** Adds and drops keys where that is due. */
  async #tend({ secret, stored }: Found, signal: AbortSignal): Promise<void> {
    const { api, clock, kidsInUse } = this.#options;
    const { [annotations.rotate]: rotate, ...others } = secret.metadata.annotations ?? {};
    const plan = planKeys({
      keys: stored.map(({ kid, createdAt }) => ({ kid, createdAt: Date.parse(createdAt) })),
      rotate: rotate !== undefined,
      kidsInUse: kidsInUse(),
      now: clock.now(),
    });
    if (plan === undefined) return;
    const made = plan.make ? [await makeKey(clock.now())] : [];
    const next = [...made, ...stored.filter(({ kid }) => plan.keep.includes(kid))];
    // With its resource version, so that nobody's change is lost.
    const replacement = {
      ...secret,
      metadata: { ...secret.metadata, annotations: others },
      data: { ...secret.data, ...keysData(next) },
    };
    const replaced = await readKeys(await api.replace(secrets, replacement, { signal }));
    if (replaced !== undefined) this.#adopt(replaced.keys);
  }

  #adopt(keys: readonly SigningKey[]): void {
    const before = this.kids.join();
    this.#keys = keys;
    const { kids } = this;
    if (kids.join() === before) return;
    this.#options.logger.info({ kids }, 'other signing keys are in use');
    for (const listener of this.#listeners) listener();
  }

  get #name(): string {
    const { namespace, name } = this.#options.secret;
    return `the Secret ${namespace}/${name} of the signing keys`;
  }
}
