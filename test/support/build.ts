import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../cluster/run.ts';

/** The top of the working tree. */
export const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Tells the processes of test files where the global setup of their run has built for all of them. */
const BUILT_FOLDER = 'BULLPEN_TEST_BUILD';

let built: Promise<string> | undefined;

/** A folder that all files of a test run share, and that goes with the run; undefined where there is no test run. */
export function runFolder(): string | undefined {
  return process.env[BUILT_FOLDER];
}

/**
 * Bundles the programs, once per process, and only once for all files of a test run; resolves with the folder that holds
 * `main.js`. It is this run's own: a build for somebody else must not take the program away from a controller that a
 * test is about to start.
 */
export function build(): Promise<string> {
  const folder = runFolder();
  built ??= folder === undefined ? buildIntoOwnFolder() : Promise.resolve(folder);
  return built;
}

/** Global setup of test projects that run the programs. */
export default async function setup(): Promise<void> {
  process.env[BUILT_FOLDER] = await build();
}

async function buildIntoOwnFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bullpen-build-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await run(process.execPath, [`${repository}scripts/build.ts`, folder], { cwd: repository });
  return folder;
}
