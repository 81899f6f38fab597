import { mkdir, readFile, readdir, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeCgroup } from './cgroups.ts';
import { withLock } from './lock.ts';
import { removeNetwork } from './network.ts';
import { cniNetworkName, containerdSocket } from './node-config.ts';
import { findProcesses, isAlive } from './process-table.ts';
import { isRunning, readRecords, stopIdentity } from './process.ts';
import { run } from './run.ts';
import { clustersFolder, listClusters, readState, type Network } from './state.ts';

/**
 * Stops everything that belongs to the cluster in this folder and removes the folder. Works from any process, on a cluster in any
 * state, and on one that another process is stopping: what is gone already is passed over.
 *
 * Programs are killed, not asked: nothing that they would write at leisure outlives the folder.
 */
export async function tearDown(folder: string): Promise<void> {
  if ((await readState(folder))?.provider === 'k3s') {
    await tearDownContainer(folder);
    return;
  }
  await mkdir(clustersFolder(), { recursive: true });
  await withLock(join(clustersFolder(), '.lock'), async () => {
    const state = await readState(folder);
    if (state === undefined) return;
    for (const record of await readRecords(folder)) if (await isRunning(record)) await stopIdentity(record, 'SIGKILL');
    if (state.network !== undefined) await removeNodeRemains(folder, state.network);
    await rm(folder, { recursive: true, force: true });
  });
}

/** Tears down clusters whose owner is no longer there, as a kill or a power cut leaves them. */
export async function tearDownOrphans(log: (line: string) => void): Promise<void> {
  for (const folder of await listClusters()) {
    const state = await readState(folder);
    if (state?.owner === undefined || (await isAlive(state.owner))) continue;
    log(`removing cluster ${state.id}, which a process that is gone has left`);
    await tearDown(folder);
  }
}

async function removeNodeRemains(folder: string, network: Network): Promise<void> {
  await removeCgroup(network.namespace);
  // containerd's helpers survive it on purpose; they name its socket.
  const shims = await findProcesses((line) => line.includes(containerdSocket(folder)));
  for (const shim of shims) await stopIdentity(shim, 'SIGKILL');
  for (const mount of mountsBelow(folder, await readFile('/proc/mounts', 'utf8'))) {
    await run('umount', ['--lazy', mount]);
  }
  await removeNetwork(network);
  await removeStrayFiles(folder, network);
  const left = mountsBelow(folder, await readFile('/proc/mounts', 'utf8'));
  // Removing the folder would reach through a mount into what is not ours.
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}; not removing ${folder}`);
}

/** Mount points below a folder, innermost first. In /proc/mounts a space is written as \040. */
export function mountsBelow(folder: string, mounts: string): string[] {
  return mounts
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => octalCharacter(octal)))
    .filter((path) => path.startsWith(`${folder}/`))
    .reverse();
}

/** The little that containerd, CNI and kubelet keep in fixed places; its names or targets tell which of it is ours. */
async function removeStrayFiles(folder: string, network: Network): Promise<void> {
  const list = (path: string): Promise<string[]> => readdir(path).catch(() => []);
  const tasks = join(folder, 'containerd-state', 'io.containerd.runtime.v2.task', 'k8s.io');
  const ids = await list(tasks);
  for (const id of ids) {
    const socket = await readFile(join(tasks, id, 'address'), 'utf8').catch(() => '');
    if (socket.startsWith('unix:///run/containerd/s/')) await rm(socket.slice('unix://'.length), { force: true });
  }
  const cniCache = '/var/lib/cni/results';
  for (const name of await list(cniCache)) {
    const ours = name.startsWith(`${cniNetworkName(network)}-`) || ids.some((id) => name.includes(id));
    if (ours) await rm(join(cniCache, name), { force: true });
  }
  const logLinks = '/var/log/containers';
  for (const name of await list(logLinks)) {
    const link = join(logLinks, name);
    const target = await readlink(link).catch(() => '');
    if (target.startsWith(`${folder}/`)) await rm(link, { force: true });
  }
}

async function tearDownContainer(folder: string): Promise<void> {
  const id = (await readState(folder))?.containerId;
  if (id !== undefined) {
    await run('docker', ['rm', '--force', '--volumes', id]).catch((error: unknown) => {
      if (!(error instanceof Error && error.message.includes('No such container'))) throw error;
    });
  }
  await rm(folder, { recursive: true, force: true });
}

function octalCharacter(octal: string): string {
  return String.fromCharCode(parseInt(octal, 8));
}
