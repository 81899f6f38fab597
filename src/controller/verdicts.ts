import { isDeepStrictEqual } from 'node:util';
import { sessions as sessionResource } from '../api/resources.ts';
import type { Session, SessionStatus } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isOutcomeUnknown } from '../kube/errors.ts';
import type { Store } from '../kube/store.ts';
import type { Announcer } from './announcer.ts';
import { INDEX } from './caches.ts';
import { isFinished } from '../api/session-phase.ts';
import { writeStatus } from './write-status.ts';

/**
 * Final statuses (Rejected, or Ended without ever having had a pod) that have been sent.
 *
 * A verdict whose reply was lost may stand, or may come to stand later: until that is known the Session is not decided
 * about anew, else it would be rejected *and* run. The same verdict is written again; the tests in `writeStatus` make
 * one of the two win.
 */
export class Verdicts {
  readonly #api: KubeApi;
  readonly #store: Store<Session>;
  readonly #announcer: Announcer;
  readonly #clock: Clock;
  readonly #settleAfterMs: number;
  readonly #unknown = new Map<string, { status: SessionStatus; since: number }>();

  /** @param deps.settleAfterMs the API server's timeout for a mutation, with a margin. */
  constructor(deps: {
    api: KubeApi;
    store: Store<Session>;
    announcer: Announcer;
    clock: Clock;
    settleAfterMs: number;
  }) {
    this.#api = deps.api;
    this.#store = deps.store;
    this.#announcer = deps.announcer;
    this.#clock = deps.clock;
    this.#settleAfterMs = deps.settleAfterMs;
  }

  /** The verdict about this Session that may stand already. */
  pendingOf(session: Session): SessionStatus | undefined {
    return this.#unknown.get(session.metadata.uid)?.status;
  }

  /** Writes a verdict. It is announced once it is known to stand. */
  async pass(session: Session, status: SessionStatus): Promise<void> {
    const { uid } = session.metadata;
    try {
      const written = await writeStatus(this.#api, sessionResource, this.#store, session, status);
      if (written === undefined) return; // It has changed, perhaps by an earlier try: see below.
      this.#unknown.delete(uid);
      this.#announcer.finished(written);
    } catch (error) {
      if (isOutcomeUnknown(error)) this.#unknown.set(uid, { status, since: this.#clock.monotonic() });
      throw error;
    }
  }

  /** Forgets those about Sessions that are over or gone, and announces those that turn out to stand. */
  prune(): void {
    for (const [uid, { status }] of this.#unknown) {
      const session = this.#store.byIndex(INDEX.uid, uid)[0];
      if (session !== undefined && !isFinished(session)) continue;
      this.#unknown.delete(uid);
      if (session !== undefined && isDeepStrictEqual(session.status, status)) this.#announcer.finished(session);
    }
  }

  /** How long until none of these writes can still be carried out; 0 when there is none. */
  allSettleInMs(): number {
    const now = this.#clock.monotonic();
    return Math.max(0, ...[...this.#unknown.values()].map(({ since }) => since + this.#settleAfterMs - now));
  }
}
