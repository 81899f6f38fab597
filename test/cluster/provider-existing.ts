import { resolve } from 'node:path';
import { Api, readApiAccess } from './api.ts';
import type { Cluster, ClusterSize } from './cluster.ts';
import { openCluster, unsupportedFaults } from './open-cluster.ts';
import { run } from './run.ts';
import { kubeconfigOf, listClusters, readState } from './state.ts';
import { clusterTools } from './tools.ts';

/**
 * The cluster that BULLPEN_TEST_KUBECONFIG names, or undefined if it names none. If this tool started it (`npm run cluster -- up`),
 * the handle can do all that it could there. It is never stopped.
 *
 * Images get into a foreign cluster by the command in BULLPEN_TEST_LOAD_IMAGE, which is run with the archive's path as its last
 * word, for example `kind load image-archive`.
 */
export async function findExistingCluster(options: {
  size: ClusterSize;
  log: (line: string) => void;
}): Promise<Cluster | undefined> {
  const named = process.env['BULLPEN_TEST_KUBECONFIG'] ?? '';
  if (named === '') return undefined;
  const kubeconfig = resolve(named);
  options.log(`using the cluster of ${kubeconfig}`);
  for (const folder of await listClusters()) {
    if (kubeconfigOf(folder) !== kubeconfig || (await readState(folder))?.ready !== true) continue;
    const cluster = await openCluster(folder, options.log);
    if (options.size === 'node' && cluster.size !== 'node') {
      throw new Error(`BULLPEN_TEST_KUBECONFIG names a cluster without a node: ${kubeconfig}`);
    }
    return cluster;
  }
  await assertAnswers(kubeconfig);
  return {
    kubeconfig,
    size: options.size,
    provider: 'existing',
    ...clusterTools(kubeconfig, 'existing', options.log),
    ...unsupportedFaults('existing'),
    loadImage,
    stop: () => Promise.resolve(),
  };
}

async function loadImage(archive: string): Promise<void> {
  const [command, ...args] = (process.env['BULLPEN_TEST_LOAD_IMAGE'] ?? '').split(' ').filter((word) => word !== '');
  if (command === undefined) {
    throw new Error(
      'set BULLPEN_TEST_LOAD_IMAGE to a command that loads an image archive into the cluster of BULLPEN_TEST_KUBECONFIG, ' +
        'for example "kind load image-archive"',
    );
  }
  await run(command, [...args, archive]);
}

async function assertAnswers(kubeconfig: string): Promise<void> {
  const api = new Api(await readApiAccess(kubeconfig), 'bullpen-test-cluster', 1);
  try {
    await api.text('GET', '/version');
  } catch (error) {
    throw new Error(`the cluster of BULLPEN_TEST_KUBECONFIG (${kubeconfig}) does not answer`, { cause: error });
  } finally {
    await api.close();
  }
}
