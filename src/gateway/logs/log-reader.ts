import { agentContainer, labels } from '../../api/names.ts';
import type { Session } from '../../api/session.ts';
import type { KubeApi, PodLogs } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import type { LogLine } from '../../kube/log-lines.ts';
import type { Pod } from '../../kube/objects.ts';
import { pods as podResource, refOf } from '../../kube/resources.ts';
import { mayLackBeginning } from '../../pods/session-log.ts';
import { hasNoLog, originOf, type ShownLine } from './log-line.ts';
import { Turns } from './turns.ts';
import { Problem } from '../problems.ts';
import { LogPage, type Entry, type LogQuery } from './log-filter.ts';

/** Pods whose logs one request reads at most: the newest. */
const MAX_PODS = 50;

/** What one request reads at most of all logs, in bytes. */
const MAX_BYTES = 64 * 1024 * 1024;

/** A node that answers so slowly holds up the turns of others. */
const MAX_MS = 20_000;

/**
 * Requests that read at one time: what each keeps is some 50 MB, and a pod has 512 MiB. No organization has all of these turns. An answer
 * that is taken so slowly that its turn is over is still among the replies that are bounded.
 */
const READERS = { atOnce: 3, each: 2, waiting: 20, waitMs: 10_000, turnMs: 60_000 };

export interface Logs {
  total: { value: number; relation: 'eq' | 'gte' };
  logs: ShownLine[];
  /** There was more, which is not served any more, or was not read. */
  truncated: boolean;
}

interface Where {
  namespace: string;
  agent: string;
}

interface Selection {
  /** The one whose log is wanted; all of the Agent's, and of pods that wait, when left out. */
  session?: Session | undefined;
  /** The Session of a pod. */
  find: (uid: string) => Session | undefined;
  /** Lines, where the query does not say how many. */
  defaultLimit: number;
}

/** Reads what agents have written, from the nodes: of the pods of sessions that run, or ended not long ago. */
export class LogReader {
  readonly #api: KubeApi;
  readonly #logs: PodLogs;
  readonly #turns: Turns;

  /** @param deps.stopping aborted when the process is to end */
  constructor(deps: { api: KubeApi; logs: PodLogs; clock: Clock; stopping: AbortSignal }) {
    this.#api = deps.api;
    this.#logs = deps.logs;
    this.#turns = new Turns(READERS, deps);
  }

  /**
   * One page of what there is now.
   *
   * @param signal aborted when nobody wants it any more, or it has been taken: until then it is the turn of this request
   */
  async read(where: Where, query: LogQuery, of: Selection, signal: AbortSignal): Promise<Logs> {
    await this.#turns.take(where.namespace, signal);
    const late = AbortSignal.timeout(MAX_MS);
    try {
      return await this.#read(where, query, of, AbortSignal.any([signal, late]));
    } catch (error) {
      if (!late.aborted) throw error;
      throw new Problem('Unavailable', { error: 'The node takes too long to show this log.', retryAfterSeconds: 5 });
    }
  }

  async #read(
    where: Where,
    query: LogQuery,
    { session, find, defaultLimit }: Selection,
    signal: AbortSignal,
  ): Promise<Logs> {
    const page = new LogPage(query, defaultLimit);
    const pods = await this.#pods(where, session?.metadata.uid);
    let left = MAX_BYTES;
    let isPartial = pods.length > MAX_PODS;
    for (const pod of pods.slice(0, MAX_PODS)) {
      const of = session ?? find(pod.metadata.labels?.[labels.sessionUid] ?? '');
      const origin = originOf(pod, of);
      let first: LogLine | undefined;
      for await (const line of this.#lines(pod, signal)) {
        first ??= line;
        left -= Buffer.byteLength(line.text) + line.timestamp.length;
        if (left < 0) break;
        page.add({ ...line, ...origin } satisfies Entry);
      }
      if (of !== undefined) {
        const firstLine = first && `${first.timestamp} ${first.text}`;
        isPartial ||= mayLackBeginning({ session: of, pod, firstLine });
      }
      if (left < 0) break;
    }
    isPartial ||= left < 0;
    const { lines, truncated } = page.shown;
    return {
      total: { value: page.total, relation: isPartial ? 'gte' : 'eq' },
      logs: lines,
      truncated: isPartial || truncated,
    };
  }

  /** Newest first. */
  async #pods({ namespace, agent }: Where, sessionUid?: string): Promise<Pod[]> {
    const selector = [
      `${labels.agent}=${agent}`,
      ...(sessionUid === undefined ? [] : [`${labels.sessionUid}=${sessionUid}`]),
    ];
    const { items } = await this.#api.list(podResource, { namespace, labelSelector: selector.join() });
    return items.sort((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
  }

  async *#lines(pod: Pod, signal: AbortSignal): AsyncGenerator<LogLine> {
    try {
      yield* this.#logs.podLog(refOf(pod), { container: agentContainer, signal });
    } catch (error) {
      if (!hasNoLog(error)) throw error;
    }
  }
}
