import { runCheck } from './programs/check.ts';
import { runController } from './programs/controller.ts';
import { runRelease } from './programs/release.ts';
import { runToEnd } from './programs/run-to-end.ts';

const PROGRAMS: Record<string, (env: NodeJS.ProcessEnv, signal: AbortSignal, args: string[]) => Promise<void>> = {
  controller: runController,
  release: runRelease,
  check: runCheck,
};

const USAGE = `usage: node main.js PROGRAM

  controller   run agent sessions: the program that the chart's Deployment runs
  release      let go of all session pods, before an uninstall: the chart's pre-delete hook
  check        see whether an installation works: helm test
`;

const [name, ...args] = process.argv.slice(2);
const program = PROGRAMS[name ?? ''];
if (program === undefined) {
  process.stderr.write(USAGE);
  process.exit(name === '--help' ? 0 : 2);
}

await runToEnd((signal) => program(process.env, signal, args));
