import type { ApiKey } from '../../api/api-key.ts';
import { apiKeys } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import { sleep, type Clock } from '../../kube/clock.ts';
import { isNotFound } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import { refOf } from '../../kube/resources.ts';

/** How often it is looked which keys are to be noted. */
const LOOK_MS = 60_000;
/** A key that is used all the time is noted no more often. */
const NOTE_MS = 600_000;

/** Notes in its object when a key was last used: at most one write in ten minutes for each key and replica, whatever it is used for. */
export class KeyUsage {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Since the last look, by uid. */
  readonly #used = new Map<string, { key: ApiKey; at: number }>();

  constructor(deps: { api: KubeApi; clock: Clock; logger: Logger }) {
    this.#api = deps.api;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  used(key: ApiKey): void {
    this.#used.set(key.metadata.uid, { key, at: this.#clock.now() });
  }

  /** Until the signal is aborted. What was used since the last look is not noted then. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#clock, LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      for (const [uid, { key, at }] of this.#used) {
        this.#used.delete(uid);
        // The next use is looked at again: what is kept here is what has been used in the last minute.
        const known = Date.parse(key.status?.lastUsedAt ?? '') || 0;
        if (at - known >= NOTE_MS) await this.#note(key, at);
      }
    }
  }

  async #note(key: ApiKey, at: number): Promise<void> {
    const { uid } = key.metadata;
    const body = { metadata: { uid }, status: { lastUsedAt: new Date(at).toISOString() } };
    try {
      await this.#api.patch(apiKeys, refOf(key), { type: 'merge', body }, { subresource: 'status' });
    } catch (error) {
      if (!isNotFound(error))
        this.#logger.warn({ err: error, key: key.metadata.name }, 'cannot note when a key was used');
    }
  }
}
