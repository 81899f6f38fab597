import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ProcessIdentity } from './process-table.ts';

/** `control-plane`: an apiserver with its controllers and no node. `node`: one real node besides. */
export type ClusterSize = 'control-plane' | 'node';

/** How a node of local binaries is connected to the machine; see network.ts. */
export interface Network {
  index: number;
  namespace: string;
  hostLink: string;
  hostAddress: string;
  nodeAddress: string;
  podCidr: string;
}

/**
 * Everything needed to use and to stop a cluster, kept as `cluster.json` in its folder. The folder is the cluster: any process can
 * open it, and it is removed when the cluster has stopped.
 */
export interface ClusterState {
  id: string;
  size: ClusterSize;
  provider: 'k3s' | 'binaries';
  /** Lives as long as this process; undefined: until somebody stops it. */
  owner?: ProcessIdentity;
  /** URL of etcd's client port (binaries). */
  etcdUrl?: string;
  /** Address and port of the apiserver (binaries). */
  apiServer?: { address: string; port: number };
  network?: Network;
  /** Name of the only Node object, once it is ready. */
  nodeName?: string;
  /** Docker container (k3s). */
  containerId?: string;
  /** Set when everything was up once. */
  ready?: boolean;
}

/** `${XDG_CACHE_HOME:-~/.cache}/bullpen`: built binaries and the folders of clusters. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'bullpen');
}

export function clustersFolder(): string {
  return join(cacheFolder(), 'clusters');
}

export function kubeconfigOf(folder: string): string {
  return join(folder, 'kubeconfig');
}

/** Makes the folder of a new cluster. It appears complete or not at all, so that nobody judges half a state. */
export async function createClusterFolder(state: ClusterState): Promise<string> {
  const folder = join(clustersFolder(), state.id);
  const draft = join(clustersFolder(), `.${state.id}-${randomBytes(4).toString('hex')}`);
  await mkdir(draft, { recursive: true, mode: 0o700 });
  await writeFile(join(draft, 'cluster.json'), JSON.stringify(state, undefined, 2));
  await rename(draft, folder);
  return folder;
}

/** The noted state; undefined if the folder is not (or no longer) one of a cluster. */
export async function readState(folder: string): Promise<ClusterState | undefined> {
  const text = await readFile(join(folder, 'cluster.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as ClusterState);
}

export async function writeState(folder: string, state: ClusterState): Promise<void> {
  const file = join(folder, 'cluster.json');
  await writeFile(`${file}.new`, JSON.stringify(state, undefined, 2));
  await rename(`${file}.new`, file);
}

/** Folders of all clusters on this machine that belong to this user. */
export async function listClusters(): Promise<string[]> {
  const names = await readdir(clustersFolder()).catch(() => []);
  return names.filter((name) => !name.startsWith('.')).map((name) => join(clustersFolder(), name));
}
