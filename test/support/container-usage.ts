import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a container has used, as its cgroup says. */
export interface ContainerUsage {
  /** Anonymous memory: what is its own, without files that it has read. */
  anonymousMiB: number;
  cpuSeconds: number;
}

const root = '/sys/fs/cgroup';

/**
 * Reads the cgroup of a container on this machine, in version 1 or 2.
 *
 * @param cgroup below which the pods of its cluster are
 * @param containerID as in the pod's status
 */
export async function containerUsage(cgroup: string, containerID: string): Promise<ContainerUsage> {
  const id = containerID.slice(containerID.indexOf('//') + 2);
  const unified = await findFolder(join(root, cgroup), id);
  if (unified !== undefined) {
    const [memory, cpu] = await Promise.all([fields(unified, 'memory.stat'), fields(unified, 'cpu.stat')]);
    return { anonymousMiB: (memory.get('anon') ?? NaN) / 2 ** 20, cpuSeconds: (cpu.get('usage_usec') ?? NaN) / 1e6 };
  }
  const [memory, cpuacct] = await Promise.all(
    ['memory', 'cpuacct'].map((hierarchy) => findFolder(join(root, hierarchy, cgroup), id)),
  );
  if (memory === undefined || cpuacct === undefined) throw new Error(`there is no cgroup of container ${id}`);
  const [stat, usage] = await Promise.all([
    fields(memory, 'memory.stat'),
    readFile(join(cpuacct, 'cpuacct.usage'), 'utf8'),
  ]);
  return { anonymousMiB: (stat.get('rss') ?? NaN) / 2 ** 20, cpuSeconds: Number(usage) / 1e9 };
}

/** The folder of a container; its name is the id, with a prefix where systemd makes groups. */
async function findFolder(folder: string, id: string): Promise<string | undefined> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory());
  const found = folders.find(({ name }) => name.includes(id));
  if (found !== undefined) return join(folder, found.name);
  for (const { name } of folders) {
    const below = await findFolder(join(folder, name), id);
    if (below !== undefined) return below;
  }
  return undefined;
}

async function fields(folder: string, file: string): Promise<Map<string, number>> {
  const text = await readFile(join(folder, file), 'utf8');
  return new Map(text.split('\n').map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
}
