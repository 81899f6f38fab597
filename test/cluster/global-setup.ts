import type { TestProject } from 'vitest/node';
import type { Cluster, ClusterSize } from './cluster.ts';
import { startCluster } from './start-cluster.ts';
import type {} from './vitest-setup.ts';

/** A cluster and how many projects of this run use it. */
interface Shared {
  cluster: Promise<Cluster>;
  users: number;
}

/**
 * The body of a global setup: starts the run's cluster of this size and returns what ends it. Projects of one run share it, so that
 * two kubelets do not fight for one machine; vitest loads this module once per project, hence the memory beyond the module.
 */
export async function setUpCluster(project: TestProject, size: ClusterSize): Promise<() => Promise<void>> {
  const memory = globalThis as typeof globalThis & { [key: symbol]: Map<ClusterSize, Shared> | undefined };
  const clusters = (memory[Symbol.for('bullpen.test.clusters')] ??= new Map<ClusterSize, Shared>());
  const log = (line: string): void => console.log(`[cluster] ${line}`);
  const shared = clusters.get(size) ?? { cluster: startCluster({ size, log }), users: 0 };
  clusters.set(size, shared);
  shared.users += 1;
  const cluster = await shared.cluster;
  const { kubeconfig, folder } = cluster;
  project.provide('cluster', { size, kubeconfig, ...(folder === undefined ? {} : { folder }) });
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    clusters.delete(size);
    await cluster.stop();
  };
}
