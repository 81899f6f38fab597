import { access, mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from './wait.ts';

const root = '/sys/fs/cgroup';
/** Where systems with version 1 put the tree of version 2; runc makes groups there too, the kubelet knows nothing of it. */
const version2Beside = 'unified';

/**
 * Each cluster keeps its pods' cgroups below one of its own, for two reasons: a kubelet kills what it finds in its cgroups and does
 * not know, and everything that ran in a pod can be found and killed by it, whatever became of kubelet and containerd.
 */
export async function createCgroup(name: string): Promise<void> {
  if (await isVersion2()) {
    await enableControllers(root);
    await mkdir(join(root, name), { recursive: true });
    await enableControllers(join(root, name));
    return;
  }
  for (const hierarchy of await hierarchies()) {
    const folder = join(root, hierarchy, name);
    await mkdir(folder, { recursive: true });
    // A cpuset without processors or memory nodes accepts no process.
    for (const file of hierarchy.split(',').includes('cpuset') ? ['cpuset.cpus', 'cpuset.mems'] : []) {
      await writeFile(join(folder, file), await readFile(join(root, hierarchy, file)));
    }
  }
}

/** Lets groups below this one limit what the kubelet limits. */
async function enableControllers(folder: string): Promise<void> {
  const present = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).trim().split(/\s+/);
  for (const controller of present) {
    await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`).catch(async (error: unknown) => {
      // In a container the root of the tree holds processes, and such a group may not hand controllers on.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return;
      await moveProcesses(folder, join(folder, 'init'));
      await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`);
    });
  }
  const enabled = await readFile(join(folder, 'cgroup.subtree_control'), 'utf8');
  const missing = ['cpu', 'cpuset', 'memory', 'pids'].filter(
    (controller) => !enabled.split(/\s+/).includes(controller),
  );
  if (missing.length > 0) throw new Error(`the kubelet needs cgroup controllers ${missing.join(', ')} in ${folder}`);
}

async function moveProcesses(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const pid of (await readFile(join(from, 'cgroup.procs'), 'utf8')).split('\n').filter((line) => line !== '')) {
    // One that has ended cannot be moved and need not be.
    await writeFile(join(to, 'cgroup.procs'), pid).catch(() => undefined);
  }
}

/** Kills every process in the cgroup and removes it. */
export async function removeCgroup(name: string): Promise<void> {
  const folders = (await isVersion2())
    ? [join(root, name)]
    : [...(await hierarchies()), version2Beside].map((hierarchy) => join(root, hierarchy, name));
  for (const folder of folders) {
    await waitFor(async () => (await removeTree(folder), true), {
      what: `the processes in ${folder} to end`,
      timeoutMs: 10_000,
      intervalMs: 50,
    });
  }
}

/** Deepest first, as the kernel demands; fails while a process is left, after killing it. */
async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(ignoreMissing);
  if (entries === undefined) return;
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  const pids = (await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(ignoreMissing)) ?? '';
  for (const pid of pids.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  await rmdir(folder).catch(ignoreMissing);
}

async function isVersion2(): Promise<boolean> {
  return access(join(root, 'cgroup.controllers')).then(
    () => true,
    () => false,
  );
}

/** Folders of version 1, one per set of controllers, without links and without the version 2 tree that may lie beside them. */
async function hierarchies(): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && entry.name !== version2Beside).map((entry) => entry.name);
}

function ignoreMissing(error: unknown): undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
}
