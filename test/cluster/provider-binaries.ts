import { ensureBinary, type BinaryName } from './binaries.ts';
import type { Cluster } from './cluster.ts';
import { startApiServer, startControllers, waitForControllers } from './control-plane.ts';
import { claimNetwork, removeNetwork } from './network.ts';
import { startContainerRuntime, startNode } from './node.ts';
import { openCluster } from './open-cluster.ts';
import { ensurePackages } from './packages.ts';
import { identityOf } from './process-table.ts';
import { guardFolder, type Guard } from './reaper-guard.ts';
import type { StartOptions } from './start-cluster.ts';
import { createClusterFolder, writeState, type ClusterState } from './state.ts';
import { tearDown } from './teardown.ts';

const controlPlane: BinaryName[] = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'];
const node: BinaryName[] = ['kubelet', 'kube-proxy'];

/** A cluster of programs on this machine: Linux, for one with a node root. */
export async function startBinariesCluster(options: StartOptions): Promise<Cluster> {
  const { size, log } = options;
  await ensurePackages(size, log);
  for (const name of size === 'node' ? [...controlPlane, ...node] : controlPlane) await ensureBinary(name, log);

  const started = Date.now();
  const { folder, state, guard } = await createFolder(options);
  const stop = async (): Promise<void> => {
    await tearDown(folder);
    await guard?.release();
  };
  try {
    const seconds = (): string => `${((Date.now() - started) / 1000).toFixed(1)} s`;
    log(`starting a cluster (${size}) in ${folder}`);
    const runtime =
      state.network === undefined ? Promise.resolve() : startContainerRuntime(folder, state.network, options);
    await all([startApiServer(folder, state, options), runtime]);
    log(`apiserver is ready after ${seconds()}`);
    await all([
      startControllers(folder, state, options).then(() => waitForControllers(folder)),
      size === 'node' ? startNode(folder, state, options) : Promise.resolve(),
    ]);
    state.ready = true;
    await writeState(folder, state);
    log(`cluster is ready after ${seconds()}`);
    return await openCluster(folder, log, { stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createFolder(
  options: StartOptions,
): Promise<{ folder: string; state: ClusterState; guard: Guard | undefined }> {
  const { size, detached = false } = options;
  const owner = detached ? undefined : await identityOf(process.pid);
  const network = size === 'node' ? await claimNetwork() : undefined;
  const suffix = Math.floor(Math.random() * 36 ** 4).toString(36);
  const state: ClusterState = {
    id: options.id ?? `${size}-${process.pid}-${suffix}`,
    size,
    provider: 'binaries',
    ...(owner === undefined ? {} : { owner }),
    ...(network === undefined ? {} : { network }),
  };
  try {
    const folder = await createClusterFolder(state);
    return { folder, state, guard: detached ? undefined : guardFolder(folder) };
  } catch (error) {
    if (network !== undefined) await removeNetwork(network);
    throw error;
  }
}

/** Waits for all of them even when one fails, so that nothing is still being started while it is torn down. */
async function all(tasks: Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(tasks);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
