import type { KubeApi } from '../../kube/api.ts';
import { sleep, type Clock } from '../../kube/clock.ts';
import { isConflict, isForbidden, KubeError } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import { open, type Opened, type SealingContext } from '../../sealing/sealing.ts';
import { KeySecret, type Found } from './key-secret.ts';
import type { KeyPair, PublicKey } from './key-set.ts';
import type { KeySituation } from './plan-keys.ts';
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

/**
 * The keys with which the controller signs what it asks of pods, and those with which it opens what was sealed for it. They are in one
 * Secret, which the leader makes when there is none, and which outlives it. Only the leader may use a ring: it writes.
 *
 * - The annotation `bullpen.dev/rotate` on the Secret asks for new keys. They come first: pods made from then on trust the new one as
 *   well as the old ones, and what was sealed with an old one still opens; see `planKeys` for when those go.
 * - A Secret that has been deleted is made again, with new keys alone: pods that trust none but the old ones take nothing more from us,
 *   and what was sealed with those opens no more.
 * - One that cannot be read is left as it is, and the keys of before stay in use.
 */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #secret: KeySecret;
  readonly #listeners = new Set<() => void>();
  #keys: readonly KeyPair[] = [];
  #sealing: readonly KeyPair<'sealing'>[] = [];

  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#secret = new KeySecret(options);
  }

  /** For pods that are made now, newest first; none before {@link load}. */
  get publicKeys(): PublicKey[] {
    return this.#keys.map(({ publicKey }) => publicKey);
  }

  /** For whoever seals, the newest; undefined before {@link load}. */
  get sealingKey(): PublicKey<'sealing'> | undefined {
    return this.#sealing[0]?.publicKey;
  }

  /** The ids of the keys that sign, newest first. */
  get kids(): string[] {
    return this.publicKeys.map(({ kid }) => kid);
  }

  /** Calls back whenever other keys sign. Returns what ends that. */
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

  /** Opens what was sealed for this Session, with whichever of the keys it was. Never rejects. */
  async open(jwe: string, context: SealingContext): Promise<Opened> {
    const keys = this.#sealing.map(({ publicKey: { kid }, privateKey }) => ({ kid, privateKey }));
    return await open(jwe, context, keys);
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
        logger.error({ err: error }, 'the signing keys could not be looked after; those of before stay in use');
      }
    }
  }

  #adopt({ signing, sealing }: Found): void {
    const before = { kids: this.kids.join(), sealingKids: this.#sealingKids.join() };
    this.#keys = signing.keys;
    this.#sealing = sealing.keys;
    const [kids, sealingKids] = [this.kids, this.#sealingKids];
    if (kids.join() === before.kids && sealingKids.join() === before.sealingKids) return;
    this.#options.logger.info({ kids, sealingKids }, 'other keys are in use');
    if (kids.join() === before.kids) return;
    for (const listener of this.#listeners) listener();
  }

  get #sealingKids(): string[] {
    return this.#sealing.map(({ publicKey }) => publicKey.kid);
  }
}
