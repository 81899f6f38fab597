import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Cluster } from '../test/cluster/cluster.ts';
import { installPackages } from '../test/cluster/packages.ts';
import { findProgram } from '../test/cluster/run.ts';
import { toolPath } from '../test/cluster/tools.ts';
import { build } from '../test/support/build.ts';
import { PipecatClient } from '../test/support/pipecat-client.ts';

/** The programs that the demo types, by their usual names. */
export interface Programs {
  /** For the front of PATH. */
  path: string;
  /** Where Pipecat's client is to keep its settings: not among those of whoever runs the demo. */
  settings: string;
  remove(): Promise<void>;
}

/** kubectl, helm and curl of this machine or of the cluster's, `bullpen` as it is built now, and `pipecat` and `python` from PyPI. */
export async function findPrograms(cluster: Cluster, log: (line: string) => void): Promise<Programs> {
  const kubectl = await toolPath('kubectl', cluster.provider, log);
  const helm = await toolPath('helm', cluster.provider, log);
  await ensureCurl(log);
  const client = await PipecatClient.install('1.4.0', log);
  const folder = await mkdtemp(join(tmpdir(), 'bullpen-demo-'));
  // The build goes when the demo ends, and with --keep this stays.
  const built = await build();
  for (const part of ['cli.js', 'cli', 'package.json'])
    await cp(join(built, part), join(folder, part), { recursive: true });
  await symlink('cli.js', join(folder, 'bullpen'));
  return {
    path: [...new Set([folder, client.folder, dirname(kubectl), dirname(helm)])].join(delimiter),
    settings: join(folder, 'pipecatcloud.toml'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function ensureCurl(log: (line: string) => void): Promise<void> {
  if ((await findProgram('curl')) !== undefined) return;
  if (await installPackages(['curl'], log)) return;
  throw new Error('The demo needs curl: install it.');
}
