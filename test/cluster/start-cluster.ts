import type { Cluster, ClusterSize } from './cluster.ts';
import { startBinariesCluster } from './provider-binaries.ts';
import { findExistingCluster } from './provider-existing.ts';
import { startK3sCluster } from './provider-k3s.ts';
import { tearDownOrphans } from './teardown.ts';

export interface StartOptions {
  size: ClusterSize;
  /** Told what happens, a line at a time. */
  log: (line: string) => void;
  /** Name of its folder; default: made up from size and process. */
  id?: string;
  /** Keeps running when this process ends; default false: it ends with this process, however that ends. */
  detached?: boolean;
  /** Which providers may be used; default all, tried in this order: existing, k3s, binaries. */
  providers?: Cluster['provider'][];
  /** More flags for programs of a cluster of local binaries. */
  apiServerArgs?: string[];
  controllerManagerArgs?: string[];
  schedulerArgs?: string[];
  /** Merged over the configuration of its kubelet, for example `{nodeStatusUpdateFrequency: '1s'}`. */
  kubeletConfig?: Record<string, unknown>;
}

/**
 * A cluster for tests and demo, from the first provider that can give one: the one that BULLPEN_TEST_KUBECONFIG names; k3s in Docker,
 * if Docker answers and can pull; local binaries, built from Go modules the first time.
 */
export async function startCluster(options: StartOptions): Promise<Cluster> {
  const providers = options.providers ?? ['existing', 'k3s', 'binaries'];
  await tearDownOrphans(options.log);
  const existing = providers.includes('existing') ? await findExistingCluster(options) : undefined;
  if (existing !== undefined) return existing;
  const k3s = providers.includes('k3s') ? await startK3sCluster(options) : undefined;
  if (k3s !== undefined) return k3s;
  if (!providers.includes('binaries')) throw new Error(`no cluster from ${providers.join(', ')}`);
  return startBinariesCluster(options);
}
