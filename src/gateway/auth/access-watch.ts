import { sleep, type Clock } from '../../kube/clock.ts';
import { Problem } from '../problems.ts';
import type { KeyStore } from '../keys/key-store.ts';
import type { Authenticator, Demand } from './authenticator.ts';

/** Nobody tells when Kubernetes no longer takes a token: it is asked again after so long. */
const LOOK_AGAIN_MS = 15_000;

/** Notices when somebody who was let in, and is still being answered, would not be let in any more. */
export class AccessWatch {
  readonly #authenticator: Authenticator;
  readonly #keys: KeyStore;
  readonly #clock: Clock;

  constructor(deps: { authenticator: Authenticator; keys: KeyStore; clock: Clock }) {
    this.#authenticator = deps.authenticator;
    this.#keys = deps.keys;
    this.#clock = deps.clock;
  }

  /** Why they are to hear no more, once that is so. Rejects when the signal is aborted. */
  async lost(authorization: string | undefined, demand: Demand, signal: AbortSignal): Promise<Problem> {
    for (;;) {
      // Before it is looked: what changes meanwhile is looked at again.
      const change = this.#change(signal);
      change.catch(() => undefined);
      try {
        await this.#authenticator.authenticate(authorization, demand);
      } catch (error) {
        // Where Kubernetes cannot be asked, nothing is known.
        if (error instanceof Problem) return error;
      }
      await change;
    }
  }

  /** Any key has changed, or it is time to ask. */
  async #change(signal: AbortSignal): Promise<void> {
    const looked = new AbortController();
    const unsubscribe = this.#keys.onChange(() => looked.abort());
    try {
      await sleep(this.#clock, LOOK_AGAIN_MS, AbortSignal.any([signal, looked.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
    } finally {
      unsubscribe();
    }
  }
}
