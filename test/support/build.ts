import { fileURLToPath } from 'node:url';
import { run } from '../cluster/run.ts';

/** The top of the working tree. */
export const repository = fileURLToPath(new URL('../..', import.meta.url));

let built: Promise<unknown> | undefined;

/** Bundles the programs into `dist`, once per process. */
export async function build(): Promise<void> {
  built ??= run(process.execPath, [`${repository}scripts/build.ts`], { cwd: repository });
  await built;
}
