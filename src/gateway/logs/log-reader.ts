import { agentContainer, labels } from '../../api/names.ts';
import type { Session } from '../../api/session.ts';
import type { KubeApi, PodLogs } from '../../kube/api.ts';
import type { LogLine } from '../../kube/log-lines.ts';
import type { Pod } from '../../kube/objects.ts';
import { pods as podResource, refOf } from '../../kube/resources.ts';
import { mayLackBeginning } from '../../pods/session-log.ts';
import { hasNoLog, originOf, type ShownLine } from './log-line.ts';
import { LogPage, type Entry, type LogQuery } from './log-filter.ts';

/** Pods whose logs one request reads at most: the newest. */
const MAX_PODS = 50;

/** What one request reads at most of all logs, in bytes. */
const MAX_BYTES = 64 * 1024 * 1024;

export interface Logs {
  total: { value: number; relation: 'eq' | 'gte' };
  logs: ShownLine[];
  /** There was more, which is not served any more, or was not read. */
  truncated: boolean;
}

/** Reads what agents have written, from the nodes: of the pods of sessions that run, or ended not long ago. */
export class LogReader {
  readonly #api: KubeApi;
  readonly #logs: PodLogs;

  constructor(deps: { api: KubeApi; logs: PodLogs }) {
    this.#api = deps.api;
    this.#logs = deps.logs;
  }

  /**
   * @param session the one whose log is wanted; all of the Agent's, and of pods that wait, when left out
   * @param find the Session of a pod
   */
  async read(
    where: { namespace: string; agent: string },
    query: LogQuery,
    {
      session,
      find,
      defaultLimit,
    }: { session?: Session | undefined; find: (uid: string) => Session | undefined; defaultLimit: number },
    signal: AbortSignal,
  ): Promise<Logs> {
    const page = new LogPage(query, defaultLimit);
    const pods = await this.#pods(where, session?.metadata.uid);
    let left = MAX_BYTES;
    let truncated = pods.length > MAX_PODS;
    for (const pod of pods.slice(0, MAX_PODS)) {
      const of = session ?? find(pod.metadata.labels?.[labels.sessionUid] ?? '');
      const origin = originOf(pod, of);
      let first: LogLine | undefined;
      for await (const line of this.#lines(pod, signal)) {
        first ??= line;
        left -= line.text.length + line.timestamp.length;
        if (left < 0) break;
        page.add({ ...line, ...origin } satisfies Entry);
      }
      if (of !== undefined) {
        const firstLine = first && `${first.timestamp} ${first.text}`;
        truncated ||= mayLackBeginning({ session: of, pod, firstLine });
      }
      if (left < 0) break;
    }
    truncated ||= left < 0;
    return {
      total: { value: page.total, relation: truncated ? 'gte' : 'eq' },
      logs: page.lines.map(({ text, ...line }) => ({ log: text, ...line })),
      truncated,
    };
  }

  /** Newest first. */
  async #pods({ namespace, agent }: { namespace: string; agent: string }, sessionUid?: string): Promise<Pod[]> {
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
