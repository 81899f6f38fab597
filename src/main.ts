import { runToEnd } from './programs/run-to-end.ts';

type Program = (env: NodeJS.ProcessEnv, signal: AbortSignal, args: string[]) => Promise<void>;

/** Each is loaded when it is run: what one needs takes no memory of another. */
const PROGRAMS: Record<string, () => Promise<Program>> = {
  controller: async () => (await import('./programs/controller.ts')).runController,
  gateway: async () => (await import('./programs/gateway.ts')).runGateway,
  release: async () => (await import('./programs/release.ts')).runRelease,
  check: async () => (await import('./programs/check.ts')).runCheck,
};

const USAGE = `usage: node main.js PROGRAM

  controller   run agent sessions: the program that the chart's Deployment runs
  gateway      serve the REST API: any number of these
  release      let go of all session pods, before an uninstall: the chart's pre-delete hook
  check        see whether an installation works: helm test
`;

const [name, ...args] = process.argv.slice(2);
const load = PROGRAMS[name ?? ''];
if (load === undefined) {
  process.stderr.write(USAGE);
  process.exit(name === '--help' ? 0 : 2);
}

await runToEnd(async (signal) => (await load())(process.env, signal, args));
