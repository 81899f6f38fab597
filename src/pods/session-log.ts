import type { Session } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { agentStatus } from './pod-facts.ts';

/** How long an agent may be silent at the beginning of its session. The kubelet looks at the size of logs so often, too. */
const SILENCE_MS = 10_000;

export interface ServedLog {
  session: Pick<Session, 'status'>;
  /** The pod of the session. */
  pod: Pod;
  /** The first line that the kubelet serves of the agent, with its time (`kubectl logs --timestamps`); undefined when there is none. */
  firstLine: string | undefined;
}

/**
 * Whether the log that the kubelet serves may lack the beginning of its session.
 *
 * The kubelet puts a log aside that has grown beyond its `containerLogMaxSize`, begins a new file, and serves only that one. Nothing that
 * it serves tells whether there was another. What tells is the time of the first line, which has the same clock as the start of the
 * session:
 *
 * - A line from before the session, as every server writes when it begins to listen, or from its first seconds: nothing is missing.
 * - A first line that is later: the beginning is missing, or the agent had nothing to say until then. Nobody can tell these two apart
 *   without looking into the node's folders, so the answer is yes. It is wrong for an agent that writes nothing when it starts and nothing
 *   for so long, such as a waiting pod that is silent until somebody speaks to it.
 * - No line at all: the answer is no. An agent that never writes is more likely than one that wrote all it had to say within the file that
 *   was put aside.
 * - A start of the session that nobody knows, or a line without a time: no. There is nothing that could be missing, or to go by.
 *
 * An agent that crashes is started again, and the kubelet serves the log of that run: all of the session's is missing then, and
 * `kubectl logs --previous` has it. Runs are told apart as for the end of a session (`boundAgentExit`).
 *
 * What it overlooks: an agent that fills a whole file within its first seconds.
 */
export function mayLackBeginning({ session, pod, firstLine }: ServedLog): boolean {
  // Comparisons with a time that is not there are false.
  const startedAt = Date.parse(session.status?.startedAt ?? '');
  if (servedRunBegan(pod) > startedAt) return true;
  return Date.parse(firstLine?.split(' ', 1)[0] ?? '') > startedAt + SILENCE_MS;
}

/** When the run of the agent began whose log the kubelet serves: the last one that there was. In whole seconds. */
function servedRunBegan(pod: Pod): number {
  const { state, lastState } = agentStatus(pod) ?? {};
  const run = state?.running ?? state?.terminated ?? lastState?.terminated;
  return Date.parse(run?.startedAt ?? '');
}
