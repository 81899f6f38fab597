import { CommandError, run, type CommandOutput, type RunOptions } from '../cluster/run.ts';

/** How a command ended, whatever its exit code. */
export interface Ended extends CommandOutput {
  code: number;
}

/** Runs a command to its end. Throws only when it could not be run to that. */
export async function end(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  try {
    return { code: 0, ...(await run(command, args, options)) };
  } catch (error) {
    if (!(error instanceof CommandError) || error.code === undefined) throw error;
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}
