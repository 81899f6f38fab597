import { inject } from 'vitest';
import type { Cluster, ClusterSize } from './cluster.ts';
import { openCluster } from './open-cluster.ts';
import { findExistingCluster } from './provider-existing.ts';

/** What the global setup (setup-node.ts, setup-control-plane.ts) tells test files about the cluster of the run. */
export interface ClusterAddress {
  size: ClusterSize;
  kubeconfig: string;
  /** Folder of its state; undefined if it is somebody else's. */
  folder?: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: ClusterAddress;
  }
}

/**
 * The cluster of this run, for a test file: the same handle as the one that started it has, but `stop()` does nothing. The file's
 * project needs setup-node.ts or setup-control-plane.ts as its `globalSetup`.
 */
export async function connectCluster(): Promise<Cluster> {
  const { folder, size } = inject('cluster');
  const log = (line: string): void => console.log(`[cluster] ${line}`);
  if (folder !== undefined) return openCluster(folder, log);
  const existing = await findExistingCluster({ size, log });
  if (existing === undefined)
    throw new Error('BULLPEN_TEST_KUBECONFIG was set when this run began, and is not any more');
  return existing;
}
