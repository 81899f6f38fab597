import { sleep } from '../../kube/clock.ts';
import { isConflict, isForbidden, KubeError } from '../../kube/errors.ts';
import { KeySecret, type Found, type KeySecretOptions } from './key-secret.ts';
import type { KeyPair, PublicKey, Purpose } from './key-set.ts';
import type { KeySituation } from './plan-keys.ts';

/** How often the Secret is looked at. */
const LOOK_MS = 30_000;
/** When a look at the start that failed is repeated. */
const RETRY_MS = 1_000;

export interface KeyKeeperOptions<P extends Purpose> extends KeySecretOptions<P> {
  /** The ids of the keys that each live pod trusts; undefined while that cannot be told of all of them. */
  kidsInUse: () => KeySituation['kidsInUse'];
}

/**
 * Keeps key pairs in one Secret, which the leader makes when there is none, and which outlives it. Only the leader may do that: it writes.
 *
 * - The annotation `bullpen.dev/rotate` on the Secret asks for new keys. They come first: pods made from then on trust the new one as
 *   well as the old ones, and what was sealed with an old one still opens; see `planKeys` for when those go.
 * - A Secret that has been deleted is made again, with new keys alone: pods that trust none but the old ones take nothing more from
 *   whoever signs with these, and what was sealed with those opens no more.
 * - One that cannot be read is left as it is, and the keys of before stay in use.
 */
export class KeyKeeper<P extends Purpose> {
  readonly #options: KeyKeeperOptions<P>;
  readonly #secret: KeySecret<P>;
  readonly #listeners = new Set<(purpose: P) => void>();
  #found: Found<P> | undefined;

  constructor(options: KeyKeeperOptions<P>) {
    this.#options = options;
    this.#secret = new KeySecret(options);
  }

  /** Newest first; none before {@link load}. */
  keys<Q extends P>(purpose: Q): readonly KeyPair<Q>[] {
    const sets = this.#found?.sets;
    return sets === undefined ? [] : sets[purpose].keys;
  }

  /** For whoever trusts them, or seals with them; newest first, and none before {@link load}. */
  publicKeys<Q extends P>(purpose: Q): PublicKey<Q>[] {
    return this.keys(purpose).map(({ publicKey }) => publicKey);
  }

  /** Calls back whenever there are other keys for a purpose. Returns what ends that. */
  onChanged(listener: (purpose: P) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Reads the keys, or makes the first ones. While the API server cannot be asked it keeps trying; it rejects when there are no keys to
   * be had until somebody does something, and says what.
   */
  async load(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    for (;;) {
      try {
        this.#adopt(await this.#secret.look(signal));
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (isForbidden(error))
          throw new Error(`may not get or create ${this.#secret.name}: see the rights in docs/security.md`, {
            cause: error,
          });
        if (!(error instanceof KubeError)) throw error;
        logger.warn(
          { err: error, secret: this.#options.secret.name },
          'the signing keys could not be read; trying again',
        );
      }
      await sleep(clock, RETRY_MS, signal);
    }
  }

  /**
   * Keeps up with the Secret, and carries out what is asked of it, until the signal is aborted. A request that arrives after that does
   * no harm: it holds for the Secret as it was, and the next leader reads what is there.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, kidsInUse, logger } = this.#options;
    for (;;) {
      await sleep(clock, LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const found = await this.#secret.look(signal);
        this.#adopt(found);
        const tended = await this.#secret.tend(found, kidsInUse(), signal);
        if (tended !== undefined) this.#adopt(tended);
      } catch (error) {
        // Somebody else has just changed it: the next look shows what it says now.
        if (signal.aborted || isConflict(error)) continue;
        logger.error(
          { err: error, secret: this.#options.secret.name },
          'the signing keys could not be looked after; those of before stay in use',
        );
      }
    }
  }

  #adopt(found: Found<P>): void {
    const { logger, purposes, secret } = this.#options;
    const kidsOf = (purpose: P): string[] => this.publicKeys(purpose).map(({ kid }) => kid);
    const before = purposes.map((purpose) => kidsOf(purpose).join());
    this.#found = found;
    const changed = purposes.filter((purpose, index) => kidsOf(purpose).join() !== before[index]);
    if (changed.length === 0) return;
    const kids = Object.fromEntries(purposes.map((purpose) => [purpose, kidsOf(purpose)]));
    logger.info({ secret: secret.name, kids }, 'other keys are in use');
    for (const purpose of changed) for (const listener of this.#listeners) listener(purpose);
  }
}
