import { writeFile } from 'node:fs/promises';
import { kubernetesVersion } from './binaries.ts';
import type { Cluster } from './cluster.ts';
import { openCluster } from './open-cluster.ts';
import { identityOf } from './process-table.ts';
import { findProgram } from './run.ts';
import type { StartOptions } from './start-cluster.ts';
import { createClusterFolder, kubeconfigOf, writeState, type ClusterState } from './state.ts';
import { tearDown } from './teardown.ts';

/**
 * k3s in Docker, of the same Kubernetes version as the local binaries. Undefined if Docker does not answer or cannot pull, so that
 * the next provider is tried.
 */
export async function startK3sCluster(options: StartOptions): Promise<Cluster | undefined> {
  const { log, size, detached = false } = options;
  const image = `rancher/k3s:${await kubernetesVersion()}-k3s1`;
  if (!(await dockerHas(image, log))) return undefined;

  // A detached cluster outlives this process, so the helper of testcontainers that removes leftovers must not know of it.
  if (detached) process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
  const { K3sContainer } = await import('@testcontainers/k3s');
  log(`starting ${image} in Docker`);
  const container = await new K3sContainer(image)
    .withCommand(['server', '--disable=traefik', '--disable=metrics-server', '--disable=local-storage'])
    .start();
  const owner = detached ? undefined : await identityOf(process.pid);
  const state: ClusterState = {
    id: options.id ?? `k3s-${process.pid}-${container.getId().slice(0, 8)}`,
    size,
    provider: 'k3s',
    containerId: container.getId(),
    ...(owner === undefined ? {} : { owner }),
  };
  try {
    const folder = await createClusterFolder(state);
    await writeFile(kubeconfigOf(folder), container.getKubeConfig(), { mode: 0o600 });
    await writeState(folder, { ...state, ready: true });
    return await openCluster(folder, log, { stop: () => tearDown(folder) });
  } catch (error) {
    await container.stop();
    throw error;
  }
}

async function dockerHas(image: string, log: (line: string) => void): Promise<boolean> {
  // The archive of an image is copied into the container by the docker command.
  if ((await findProgram('docker')) === undefined) return false;
  const { getContainerRuntimeClient, ImageName } = await import('testcontainers');
  const name = ImageName.fromString(image);
  try {
    const docker = await getContainerRuntimeClient();
    try {
      if (!(await docker.image.exists(name))) await docker.image.pull(name);
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log(`Docker cannot pull ${image}; using local binaries (${why})`);
      return false;
    }
  } catch {
    log('Docker does not answer; using local binaries');
    return false;
  }
}
