import type { Session } from '../api/session.ts';
import type { Clock } from '../kube/clock.ts';
import type { Store } from '../kube/store.ts';

/**
 * When Sessions came that this process has seen come, by its own monotonic clock: their creation time is a whole second, and a warm
 * start takes less than a tenth of that.
 */
export class Arrivals {
  readonly #clock: Clock;
  readonly #at = new Map<string, number>();

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  /** Notes what comes from now on. Returns what ends that. */
  follow(sessions: Store<Session>): () => void {
    return sessions.subscribe(({ type, object }) => {
      const { uid } = object.metadata;
      if (type === 'added' && object.status?.phase === undefined) this.#at.set(uid, this.#clock.monotonic());
      else if (type === 'deleted') this.#at.delete(uid);
    });
  }

  /** How long ago a Session came, in seconds, for the last time it is asked; by its creation time when nobody saw it. */
  takeAge({ metadata }: Session): number {
    const at = this.#at.get(metadata.uid);
    this.#at.delete(metadata.uid);
    if (at !== undefined) return (this.#clock.monotonic() - at) / 1000;
    return (this.#clock.now() - Date.parse(metadata.creationTimestamp)) / 1000;
  }

  forget({ metadata }: Session): void {
    this.#at.delete(metadata.uid);
  }
}
