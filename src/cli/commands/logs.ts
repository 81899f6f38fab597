import type { Command } from '../command.ts';
import { readLogToItsEnd, readLog } from '../read-log.ts';
import { findSession } from './sessions.ts';

export const logs: Command = {
  name: 'logs',
  args: ['SESSION?'],
  summary: 'Print what the agent of a session has written',
  options: {
    session: { type: 'string', short: 's', value: 'ID', help: 'the session, by its name or its id' },
    follow: { type: 'boolean', short: 'f', help: 'go on until it ends; waits for its pod, and for the agent in it' },
    timestamps: { type: 'boolean', help: 'with the time of each line' },
  },
  outputs: [],
  async run(tools, args, options) {
    const { print, note, interrupted } = tools;
    const session = await findSession(tools, args, options);
    const log = options['follow'] === true ? readLogToItsEnd(tools, session) : readLog(tools, session);
    try {
      for await (const { timestamp, text } of log)
        await print(options['timestamps'] === true ? `${timestamp} ${text}` : text);
    } catch (error) {
      if (!interrupted().aborted) throw error;
      note('');
    }
  },
};
