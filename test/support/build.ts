import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../cluster/run.ts';

/** The top of the working tree. */
export const repository = fileURLToPath(new URL('../..', import.meta.url));

let built: Promise<string> | undefined;

/**
 * Bundles the programs, once per process; resolves with the folder that holds `main.js`. It is this process's own: a
 * build for somebody else must not take the program away from a controller that a test is about to start.
 */
export function build(): Promise<string> {
  built ??= buildIntoOwnFolder();
  return built;
}

async function buildIntoOwnFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bullpen-build-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await run(process.execPath, [`${repository}scripts/build.ts`, folder], { cwd: repository });
  return folder;
}
