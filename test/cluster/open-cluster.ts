import { UnsupportedError, type Cluster } from './cluster.ts';
import { waitForApiServer } from './control-plane.ts';
import { compactEtcd } from './etcd.ts';
import { nodeControls } from './node-controls.ts';
import { importArchive } from './node.ts';
import { startAgain, stopProcess } from './process.ts';
import { run } from './run.ts';
import { kubeconfigOf, readState, type ClusterState } from './state.ts';
import { clusterTools } from './tools.ts';

/** What the process that started a cluster adds to the handle. */
export interface Ownership {
  stop: () => Promise<void>;
}

/**
 * The handle of a cluster that was started by this tool, in this process or another, from the state in its folder. Without
 * `ownership`, `stop()` does nothing.
 */
export async function openCluster(
  folder: string,
  log: (line: string) => void,
  ownership?: Ownership,
): Promise<Cluster> {
  const state = await readState(folder);
  if (state?.ready !== true) throw new Error(`no running cluster in ${folder}`);
  const base = {
    kubeconfig: kubeconfigOf(folder),
    size: state.size,
    provider: state.provider,
    folder,
    ...clusterTools(kubeconfigOf(folder), state.provider, log),
    stop: ownership?.stop ?? (() => Promise.resolve()),
  };
  return state.provider === 'k3s'
    ? { ...base, ...containerParts(state), ...unsupportedFaults('k3s') }
    : { ...base, ...nodeParts(folder, state), ...apiServerFaults(folder, state) };
}

type Faults = Pick<Cluster, 'stopApiServer' | 'startApiServer' | 'restartApiServer' | 'compact'>;

/** For clusters whose control plane is out of reach. */
export function unsupportedFaults(provider: string): Faults {
  const refuse = (what: string) => (): Promise<never> => Promise.reject(new UnsupportedError(what, provider));
  return {
    stopApiServer: refuse('stopping the apiserver'),
    startApiServer: refuse('starting the apiserver'),
    restartApiServer: refuse('restarting the apiserver'),
    compact: refuse('compacting etcd'),
  };
}

function apiServerFaults(folder: string, state: ClusterState): Faults {
  const stopApiServer: Faults['stopApiServer'] = (options) =>
    stopProcess(folder, 'kube-apiserver', options?.graceful === true ? 'SIGTERM' : 'SIGKILL', 60_000);
  const startApiServer = async (): Promise<void> => {
    await startAgain(folder, 'kube-apiserver');
    await waitForApiServer(folder);
  };
  return {
    stopApiServer,
    startApiServer,
    async restartApiServer(options) {
      await stopApiServer(options);
      await startApiServer();
    },
    compact: () => compactEtcd(state.etcdUrl ?? ''),
  };
}

function nodeParts(folder: string, state: ClusterState): Pick<Cluster, 'loadImage' | 'node' | 'hostAddress'> {
  if (state.network === undefined || state.nodeName === undefined) {
    return { loadImage: () => Promise.reject(new Error('a cluster without a node has nowhere to load images')) };
  }
  return {
    loadImage: (archive) => importArchive(folder, archive),
    hostAddress: state.network.hostAddress,
    node: nodeControls(folder, state.nodeName),
  };
}

function containerParts(state: ClusterState): Pick<Cluster, 'loadImage'> {
  const id = state.containerId ?? '';
  return {
    async loadImage(archive) {
      const inside = '/tmp/image.tar';
      await run('docker', ['cp', archive, `${id}:${inside}`]);
      await run('docker', ['exec', id, 'ctr', '--namespace', 'k8s.io', 'images', 'import', inside]);
      await run('docker', ['exec', id, 'rm', inside]);
    },
  };
}
