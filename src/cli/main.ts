import { commands } from './commands.ts';
import { LineWriter } from './line-writer.ts';
import { parseCommandLine, runCommand } from './run.ts';

/** What ends a process from outside. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does what this process was called for, and ends it. */
export async function main(version: string): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', cannotWrite);
  const stopped = new AbortController();
  const stdout = new LineWriter(process.stdout, stopped.signal);
  const stderr = new LineWriter(process.stderr, stopped.signal);
  const print = (line: string): Promise<void> => stdout.write(line);
  const note = (line: string): void => void stderr.write(line);

  const exitCode = await run(version, { print, note, interrupted: interruptible(stopped) });
  // Connections to the cluster would keep the process for as long as they are kept: it is ended, but not before its words are out.
  await Promise.all([stdout.flushed(), stderr.flushed()]);
  process.exit(exitCode);
}

async function run(
  version: string,
  io: {
    print: (line: string) => Promise<void>;
    note: (line: string) => void;
    interrupted: () => AbortSignal;
  },
): Promise<number> {
  if (process.argv[2] === '--version') {
    await io.print(`bullpen ${version}`);
    return 0;
  }
  const parsed = parseCommandLine(commands, process.argv.slice(2));
  if (parsed.kind === 'help') {
    if (parsed.exitCode === 0) await io.print(parsed.text);
    else io.note(parsed.text);
    return parsed.exitCode;
  }
  return await runCommand(
    parsed,
    async (wanted) => {
      // Nobody waits for all of this to be loaded who has only mistyped something.
      const { connect } = await import('./connect.ts');
      return connect(wanted, { ...io, userAgent: `bullpen-cli/${version}` });
    },
    io.note,
  );
}

/** Until a command asks for the signal, Ctrl-C ends the process on the spot; from then on the first one only aborts it. */
function interruptible(stopped: AbortController): () => AbortSignal {
  const stop = (): void => {
    for (const name of ENDING) process.off(name, stop);
    stopped.abort();
  };
  let isAsked = false;
  return () => {
    if (!isAsked) for (const name of ENDING) process.on(name, stop);
    isAsked = true;
    return stopped.signal;
  };
}

function cannotWrite(error: NodeJS.ErrnoException): never {
  // Whoever reads has read enough: `bullpen logs x | head`. kubectl dies by SIGPIPE then, which a shell calls 141.
  if (error.code === 'EPIPE') process.exit(141);
  process.stderr.write(`Cannot write what there is to say: ${error.message}\n`);
  process.exit(1);
}
