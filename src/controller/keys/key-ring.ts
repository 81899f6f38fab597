import type { Clock } from '../../kube/clock.ts';
import { open, type Opened, type SealingContext } from '../../sealing/sealing.ts';
import { KeyKeeper, type KeyKeeperOptions } from './key-keeper.ts';
import type { PublicKey } from './key-set.ts';
import { signToken, type TokenRequest } from './token.ts';

/** The keys with which the controller signs what it asks of pods, and those with which it opens what was sealed for it. */
export class KeyRing {
  readonly #keeper: KeyKeeper<'signing' | 'sealing'>;
  readonly #clock: Clock;

  constructor(options: Omit<KeyKeeperOptions<'signing' | 'sealing'>, 'purposes'>) {
    this.#keeper = new KeyKeeper({ ...options, purposes: ['signing', 'sealing'] });
    this.#clock = options.clock;
  }

  /** For pods that are made now, newest first; none before {@link load}. */
  get publicKeys(): PublicKey[] {
    return this.#keeper.publicKeys('signing');
  }

  /** For whoever seals, newest first; none before {@link load}. */
  get sealingKeys(): PublicKey<'sealing'>[] {
    return this.#keeper.publicKeys('sealing');
  }

  /** The ids of the keys that sign, newest first. */
  get kids(): string[] {
    return this.publicKeys.map(({ kid }) => kid);
  }

  /** Calls back whenever there are other keys for that purpose. Returns what ends that. */
  onChanged(purpose: 'signing' | 'sealing', listener: () => void): () => void {
    return this.#keeper.onChanged((changed) => {
      if (changed === purpose) listener();
    });
  }

  /**
   * A token, signed with the newest of the keys that the pod trusts; undefined when it trusts none of ours.
   *
   * @param knownKids the ids of the keys that the pod trusts
   */
  async sign(request: TokenRequest, knownKids: readonly string[]): Promise<string | undefined> {
    const key = this.#keeper.keys('signing').find(({ publicKey }) => knownKids.includes(publicKey.kid));
    return key && (await signToken(key, request, this.#clock.now()));
  }

  /** Opens what was sealed for this Session, with whichever of the keys it was. Never rejects. */
  async open(jwe: string, context: SealingContext): Promise<Opened> {
    const keys = this.#keeper.keys('sealing').map(({ publicKey: { kid }, privateKey }) => ({ kid, privateKey }));
    return await open(jwe, context, keys);
  }

  /** See `KeyKeeper`. */
  async load(signal: AbortSignal): Promise<void> {
    await this.#keeper.load(signal);
  }

  /** See `KeyKeeper`. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#keeper.run(signal);
  }
}
