import { agentContainer } from '../api/names.ts';
import type { Session } from '../api/session.ts';
import { isNotFound, KubeError } from '../kube/errors.ts';
import type { LogLine } from '../kube/log-lines.ts';
import { asOver, followLog } from '../pods/follow-log.ts';
import { CliError, type Tools } from './command.ts';
import { explain } from './explain.ts';
import { watchSession } from './watch-session.ts';

/**
 * What the agent of a session has written so far.
 *
 * @throws CliError that says why there is no log
 */
export async function* readLog({ api, interrupted }: Tools, session: Session, follow = false): AsyncGenerator<LogLine> {
  const { name, namespace = '' } = session.metadata;
  const pod = session.status?.podName;
  if (pod === undefined) {
    const { message } = session.status ?? {};
    throw new CliError(`Session ${name} has no pod${message === undefined ? '' : `: ${message}`}`);
  }
  try {
    yield* api.podLog({ namespace, name: pod }, { container: agentContainer, follow, signal: interrupted() });
  } catch (error) {
    if (isNotFound(error))
      throw new CliError(
        `Pod ${pod} of session ${name} is gone, and its log with it: spec.retention of the Agent says how long they stay`,
      );
    if (error instanceof KubeError && error.code === 400)
      throw new CliError(`The agent of session ${name} has not begun to write: ${explain(error)}`);
    throw error;
  }
}

/**
 * The same, and what it writes until the session is over: of one pod after the other, where it is given another. A pod and its container are waited for.
 *
 * @throws CliError when the session is over and there is no log of its last pod
 */
export async function* readLogToItsEnd(tools: Tools, session: Session): AsyncGenerator<LogLine> {
  yield* followLog({
    when: (holds) => sessionWhen(tools, session, holds),
    read: (now) => readLog(tools, now, true),
    hasNoLog: (error) => error instanceof CliError,
  });
}

/** The Session as soon as this holds of it. One that is gone is over. */
async function sessionWhen(tools: Tools, session: Session, holds: (session: Session) => boolean): Promise<Session> {
  const { name, namespace = '', uid } = session.metadata;
  let last = session;
  const decide = (now: Session | undefined): Session | undefined => {
    // Another one of the same name is not that which was asked for.
    const isGone = now?.metadata.uid !== uid;
    last = isGone ? asOver(last) : now;
    return isGone || holds(last) ? last : undefined;
  };
  return await watchSession(tools, { namespace, name }, decide);
}
