import { sessions as sessionResource } from '../../api/resources.ts';
import type { Session } from '../../api/session.ts';
import type { KubeApi } from '../../kube/api.ts';
import { abortable, sleep, type Clock } from '../../kube/clock.ts';
import { isConflict, isNotFound, isOutcomeUnknown, isUnavailable, KubeError } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import type { Logger } from '../../kube/logger.ts';
import type { NewObject } from '../../kube/objects.ts';
import { refOf, type ObjectRef } from '../../kube/resources.ts';
import { FIRST_PAUSE_MS, longerPause } from './pause.ts';
import { earlierAnswer } from './start-verdict.ts';

/** After this the API server has carried a creation out or never will: the `?timeout=` of a mutation, with a margin. */
const SETTLED_MS = 7_000;

/** How somebody waits for a Session that is made. */
export interface Patience {
  /** Aborted when they do not wait any longer. */
  signal: AbortSignal;
  /** Whether nobody will ask for it again, so that it is not to be there when they have gone without an answer. */
  once: boolean;
}

/** Makes and deletes Sessions such that it is certain what there is, also where a reply is lost or the API server is away for a while. */
export class SessionWriter {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #ending: AbortSignal;

  constructor(deps: {
    api: KubeApi;
    clock: Clock;
    logger: Logger;
    /** Aborted when the process ends. */
    ending: AbortSignal;
  }) {
    this.#api = deps.api;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#ending = deps.ending;
  }

  /** The Session, made. Where the reply is lost, it is looked for; what turns up when nobody waits any longer is deleted. */
  async create(namespace: string, wanted: NewObject<Session>, { signal, once }: Patience): Promise<Session> {
    try {
      return await this.#api.create(sessionResource, namespace, wanted);
    } catch (error) {
      if (!isOutcomeUnknown(error)) throw error;
      const settled = this.#settle({ namespace, name: wanted.metadata.name ?? '' });
      const made = await abortable(settled, signal).catch(() => {
        if (once) void settled.then((late) => late && this.delete(late)).catch(() => undefined);
        throw error;
      });
      if (made === undefined) throw notMade(error);
      return made;
    }
  }

  /** Resolves when it has been tried; where there is no answer, it is tried again until there is. */
  async delete(session: Session): Promise<void> {
    if (!(await this.#tryToDelete(session))) void this.#keepDeleting(session);
  }

  /**
   * Deletes a Session that has no pod yet; resolves with it where it has one by then, which stays. Resolves when that is certain, however long
   * the API server is away; rejects when the process ends.
   */
  async deleteUnstarted(session: Session): Promise<Session | undefined> {
    const { uid, name } = session.metadata;
    for (let waitMs = FIRST_PAUSE_MS; ; waitMs = longerPause(waitMs)) {
      try {
        const now = await find(this.#api, sessionResource, refOf(session), { signal: this.#ending });
        if (now?.metadata.uid !== uid) return undefined;
        if (earlierAnswer(now) !== undefined) return now;
        const { resourceVersion } = now.metadata;
        await this.#api.delete(sessionResource, refOf(now), { uid, resourceVersion, propagationPolicy: 'Background' });
        return undefined;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        // One that has changed meanwhile may have its pod now.
        if (!isConflict(error)) {
          this.#logger.warn({ err: error, session: name }, 'a Session that is late could not be deleted');
          if (!isUnavailable(error)) return undefined; // Its time to start is over.
        }
      }
      await sleep(this.#clock, waitMs, this.#ending);
    }
  }

  /** The Session; undefined where there is none, nor will be. Rejects when the process ends. */
  async #settle(ref: ObjectRef): Promise<Session | undefined> {
    const settledAt = this.#clock.monotonic() + SETTLED_MS;
    for (let waitMs = FIRST_PAUSE_MS; ; waitMs = longerPause(waitMs)) {
      const over = this.#clock.monotonic() >= settledAt;
      try {
        const found = await find(this.#api, sessionResource, ref, { signal: this.#ending });
        if (found !== undefined || over) return found;
      } catch (error) {
        this.#logger.warn({ err: error, session: ref.name }, 'cannot see whether a Session has been made');
      }
      await sleep(this.#clock, waitMs, this.#ending);
    }
  }

  async #keepDeleting(session: Session): Promise<void> {
    for (let waitMs = FIRST_PAUSE_MS; ; waitMs = longerPause(waitMs)) {
      try {
        await sleep(this.#clock, waitMs, this.#ending);
      } catch {
        return; // The process ends: what has not begun by then is refused for its age.
      }
      if (await this.#tryToDelete(session)) return;
    }
  }

  /** Whether that is all that can be done. */
  async #tryToDelete(session: Session): Promise<boolean> {
    try {
      const { uid } = session.metadata;
      await this.#api.delete(sessionResource, refOf(session), { uid, propagationPolicy: 'Background' });
      return true;
    } catch (error) {
      // Gone already, or another one by that name.
      if (isNotFound(error) || isConflict(error)) return true;
      this.#logger.warn({ err: error, session: session.metadata.name }, 'a refused Session could not be deleted');
      return !isUnavailable(error);
    }
  }
}

/** It is certain now: whoever hears of it need not reckon with a Session. */
function notMade(error: KubeError): KubeError {
  const { code, reason, retryAfterSeconds } = error;
  return new KubeError(error.message, { code, reason, retryAfterSeconds, outcome: 'refused', cause: error });
}
