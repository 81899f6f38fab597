import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { findProcesses } from './process-table.ts';
import { readState } from './state.ts';
import { connectCluster } from './vitest-setup.ts';
import { waitFor } from './wait.ts';

const cluster = await connectCluster();

/** A program that starts a cluster, says where it is, and stays. */
const owner = `
  import { startCluster } from ${JSON.stringify(join(import.meta.dirname, 'start-cluster.ts'))};
  const cluster = await startCluster({ size: 'control-plane', providers: ['binaries'], log: () => undefined });
  console.log(cluster.folder);
  setInterval(() => undefined, 1000);
`;

test.runIf(cluster.provider === 'binaries')(
  'a cluster ends with the process that started it, even when that is killed',
  async () => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', owner], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [folder] = (await once(createInterface(child.stdout), 'line')) as [string];
    const ofCluster = (): Promise<unknown[]> =>
      findProcesses(
        (line) => !line.some((word) => word.endsWith('reaper.ts')) && line.some((word) => word.includes(`${folder}/`)),
      );
    expect((await readState(folder))?.ready).toBe(true);
    expect((await ofCluster()).length).toBe(4);

    child.kill('SIGKILL');
    await waitFor(async () => (await readState(folder)) === undefined, {
      what: 'the cluster to end',
      timeoutMs: 60_000,
    });
    expect(await ofCluster()).toEqual([]);
  },
);
