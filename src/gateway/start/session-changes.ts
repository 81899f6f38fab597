import { abortReason } from '../../kube/clock.ts';
import type { Session } from '../../api/session.ts';
import type { Store } from '../../kube/store.ts';
import { INDEX } from '../caches.ts';

/** Waits for what becomes of Sessions, with one look at each of their changes however many wait. */
export class SessionChanges {
  readonly #sessions: Store<Session>;
  readonly #waiting = new Map<string, Set<(session: Session | undefined) => void>>();

  constructor(sessions: Store<Session>) {
    this.#sessions = sessions;
    // For as long as the process lives, as the store does.
    sessions.subscribe(({ type, object }) => {
      for (const look of this.#waiting.get(object.metadata.uid) ?? []) look(type === 'deleted' ? undefined : object);
    });
  }

  /**
   * The first answer of `decide` that is not undefined, about the Session as it is and as it becomes; undefined is what it gets of one
   * that has been deleted. Rejects with what `decide` throws, or with the signal's reason.
   */
  async first<T>(
    session: Session,
    decide: (session: Session | undefined) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    const { uid } = session.metadata;
    // What the cache does not take it knows to be gone: nobody would ever hear of it.
    this.#sessions.writeThrough(session);
    const now = decide(this.#sessions.byIndex(INDEX.uid, uid)[0]);
    if (now !== undefined) return now;
    const listeners = this.#waiting.get(uid) ?? new Set();
    this.#waiting.set(uid, listeners);
    return await new Promise<T>((resolve, reject) => {
      const stop = (): void => {
        listeners.delete(look);
        if (listeners.size === 0) this.#waiting.delete(uid);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        stop();
        reject(abortReason(signal));
      };
      const look = (next: Session | undefined): void => {
        try {
          const answer = decide(next);
          if (answer === undefined) return;
          resolve(answer);
        } catch (error) {
          // A refusal is an answer, too.
          reject(error instanceof Error ? error : new Error('nobody can tell', { cause: error }));
        }
        stop();
      };
      listeners.add(look);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
