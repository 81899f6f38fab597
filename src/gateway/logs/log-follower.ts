import { agentContainer } from '../../api/names.ts';
import type { Session } from '../../api/session.ts';
import type { KubeApi, PodLogs } from '../../kube/api.ts';
import { find } from '../../kube/find.ts';
import { pods } from '../../kube/resources.ts';
import { asOver, followLog } from '../../pods/follow-log.ts';
import { Problem } from '../problems.ts';
import type { SessionChanges } from '../start/session-changes.ts';
import { hasNoLog, originOf, type ShownLine } from './log-line.ts';
import { isWanted, type LogQuery } from './log-filter.ts';
import { Tally } from './tally.ts';

/** Logs that a replica follows at one time, and those of one organization: each is a connection to a node by way of the API server. */
const AT_ONCE = 200;
const EACH = 50;

/** Another replica may have room at once. */
const RETRY_AFTER_SECONDS = 1;

/** Shows what the agent of one session writes, while it writes. */
export class LogFollower {
  readonly #api: KubeApi;
  readonly #logs: PodLogs;
  readonly #changes: SessionChanges;
  readonly #running = new Tally();

  constructor(deps: { api: KubeApi; logs: PodLogs; changes: SessionChanges }) {
    this.#api = deps.api;
    this.#logs = deps.logs;
    this.#changes = deps.changes;
  }

  /**
   * What there is, or the last `limit` lines of it, and what comes, until the session is over. One without a pod yet is waited for.
   *
   * @throws Problem Unavailable where too many are followed
   */
  follow(session: Session, query: LogQuery, signal: AbortSignal): AsyncGenerator<ShownLine> {
    if (this.#running.all >= AT_ONCE || this.#running.of(namespaceOf(session)) >= EACH)
      throw new Problem('Unavailable', {
        error: 'This replica of the gateway follows too many logs. Please try again.',
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    return this.#follow(session, query, signal);
  }

  async *#follow(session: Session, query: LogQuery, signal: AbortSignal): AsyncGenerator<ShownLine> {
    const organization = namespaceOf(session);
    this.#running.add(organization);
    const over = new AbortController();
    const watched = new WatchedSession(this.#changes, session, AbortSignal.any([signal, over.signal]));
    try {
      yield* followLog({
        when: (holds) => watched.when(holds),
        read: (now) => this.#ofPod(now, query, signal),
        hasNoLog,
      });
    } catch (error) {
      if (!hasNoLog(error)) throw error;
    } finally {
      this.#running.remove(organization);
      over.abort();
    }
  }

  async *#ofPod(session: Session, query: LogQuery, signal: AbortSignal): AsyncGenerator<ShownLine> {
    const { podName } = session.status ?? {};
    if (podName === undefined) return;
    const ref = { namespace: namespaceOf(session), name: podName };
    const origin = originOf(await find(this.#api, pods, ref), session);
    const options = { container: agentContainer, follow: true, tailLines: query.limit, signal };
    for await (const line of this.#logs.podLog(ref, options))
      if (isWanted(query, { ...line, ...origin })) yield { log: line.text, timestamp: line.timestamp, ...origin };
  }
}

function namespaceOf({ metadata: { namespace = '' } }: Session): string {
  return namespace;
}

/** A Session as it becomes. Once it is gone, it is over. */
class WatchedSession {
  readonly #changes: SessionChanges;
  readonly #signal: AbortSignal;
  #last: Session;

  /** @param signal ends the watching */
  constructor(changes: SessionChanges, session: Session, signal: AbortSignal) {
    this.#changes = changes;
    this.#last = session;
    this.#signal = signal;
    // All the time: one that is deleted while nobody waits would never be heard of again.
    const look = (now: Session | undefined): undefined => {
      this.#last = now ?? asOver(this.#last);
    };
    changes.first(session, look, signal).catch(() => undefined);
  }

  /** Resolves as soon as this holds of it. Rejects with the signal's reason. */
  async when(holds: (session: Session) => boolean): Promise<Session> {
    const decide = (): Session | undefined => (holds(this.#last) ? this.#last : undefined);
    return await this.#changes.first(this.#last, decide, this.#signal);
  }
}
