import { commands } from './commands.ts';
import { parseCommandLine, runCommand } from './run.ts';

/** Does what this process was called for, and ends it. */
export async function main(version: string): Promise<never> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const note = (line: string): void => void process.stderr.write(`${line}\n`);
  // Whoever reads our output may have read enough: `bullpen logs x | head`.
  process.stdout.on('error', () => process.exit(0));

  if (process.argv[2] === '--version') {
    print(`bullpen ${version}`);
    process.exit(0);
  }
  const parsed = parseCommandLine(commands, process.argv.slice(2));
  if (parsed.kind === 'help') {
    (parsed.exitCode === 0 ? print : note)(parsed.text);
    process.exit(parsed.exitCode);
  }

  const stopped = new AbortController();
  process.once('SIGINT', () => stopped.abort());

  const exitCode = await runCommand(
    parsed,
    async (wanted) => {
      // Nobody waits for all of this to be loaded who has only mistyped something.
      const { connect } = await import('./connect.ts');
      return connect(wanted, { print, note, signal: stopped.signal, userAgent: `bullpen-cli/${version}` });
    },
    note,
  );
  process.exit(exitCode);
}
