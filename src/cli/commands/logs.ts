import { agentContainer } from '../../api/names.ts';
import { isNotFound, KubeError } from '../../kube/errors.ts';
import { CliError, type Command } from '../command.ts';
import { watchSession } from '../watch-session.ts';
import { findSession } from './sessions.ts';

export const logs: Command = {
  name: 'logs',
  args: ['SESSION?'],
  summary: 'Print what the agent of a session has written',
  options: {
    session: { type: 'string', short: 's', value: 'ID', help: 'the session, by its name or its id' },
    follow: { type: 'boolean', short: 'f', help: 'go on until it ends; waits for its pod' },
    timestamps: { type: 'boolean', help: 'with the time of each line' },
  },
  outputs: [],
  async run(tools, args, options) {
    const { api, namespace, print, note, signal } = tools;
    let session = await findSession(tools, args, options);
    const { name } = session.metadata;
    const follow = options['follow'] === true;
    if (session.status?.podName === undefined && follow)
      session = await watchSession(
        api,
        { namespace, name },
        (now) =>
          now === undefined || now.status?.podName !== undefined || now.status?.phase === 'Rejected'
            ? (now ?? session)
            : undefined,
        signal,
      );
    const pod = session.status?.podName;
    if (pod === undefined)
      throw new CliError(
        `Session ${name} has no pod${session.status?.message === undefined ? '' : `: ${session.status.message}`}`,
      );
    try {
      const ref = { namespace, name: pod };
      for await (const { timestamp, text } of api.podLog(ref, { container: agentContainer, follow, signal }))
        print(options['timestamps'] === true ? `${timestamp} ${text}` : text);
    } catch (error) {
      if (isNotFound(error))
        throw new CliError(
          `Pod ${pod} of session ${name} is gone, and its log with it: spec.retention of the Agent says how long they stay`,
        );
      if (error instanceof KubeError && error.code === 400)
        throw new CliError(`The agent of session ${name} has not begun to write: ${error.message}`);
      if (signal.aborted) note('');
      else throw error;
    }
  },
};
