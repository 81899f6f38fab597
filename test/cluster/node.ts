import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withApi } from './api.ts';
import { busyboxImage, pauseImage } from './base-images.ts';
import { ensureBinary } from './binaries.ts';
import { createCgroup } from './cgroups.ts';
import { nodeName, patienceMs } from './control-plane.ts';
import { writeImage, type ImageSpec } from './image.ts';
import { connectNetwork, inNetwork, programPath } from './network.ts';
import {
  cniConfig,
  containerdConfig,
  containerdSocket,
  kubeletConfig,
  kubeProxyConfig,
  type NodeConfigInput,
} from './node-config.ts';
import { cniPluginFolder } from './packages.ts';
import { assertRunning, startProcess } from './process.ts';
import { run } from './run.ts';
import { writeState, type ClusterState, type Network } from './state.ts';
import { waitFor } from './wait.ts';

export interface NodeOptions {
  log: (line: string) => void;
  /** Merged over the kubelet's configuration file. */
  kubeletConfig?: Record<string, unknown>;
}

/** statfs(2): the type of an overlay, on which no other overlay can be laid. */
const overlayType = 0x794c7630;

/** Connects the node's network and starts containerd with the images every pod needs. Needs no apiserver. */
export async function startContainerRuntime(folder: string, network: Network, options: NodeOptions): Promise<void> {
  // The kernel's limit for the path of a socket, less what containerd appends.
  if (containerdSocket(folder).length > 100) {
    throw new Error(`the path ${folder} is too long for containerd's socket: set XDG_CACHE_HOME to a shorter one`);
  }
  await connectNetwork(network);
  await createCgroup(network.namespace);
  const onOverlay = (await statfs(folder)).type === overlayType;
  const input: NodeConfigInput = {
    folder,
    network,
    cniPlugins: await cniPluginFolder(),
    snapshotter: onOverlay ? 'native' : 'overlayfs',
    cgroup: network.namespace,
    kubelet: options.kubeletConfig ?? {},
  };
  await mkdir(join(folder, 'cni'), { recursive: true });
  await writeFile(join(folder, 'cni', '10-pods.conflist'), cniConfig(input));
  await writeFile(join(folder, 'containerd.toml'), containerdConfig(input));
  await writeFile(join(folder, 'kubelet.json'), kubeletConfig(input));
  await writeFile(join(folder, 'kube-proxy.json'), kubeProxyConfig(input));
  // The machine's name servers cannot be reached from a pod.
  await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  await startInNetwork(folder, network, 'containerd', await programPath('containerd'), [
    '--config',
    join(folder, 'containerd.toml'),
  ]);
  await waitFor(() => run('ctr', ['--address', containerdSocket(folder), 'version'], { timeoutMs: 5_000 }), {
    what: 'containerd to answer',
    timeoutMs: 30_000,
    check: () => assertRunning(folder, 'containerd'),
  });
  for (const image of [await pauseImage(), await busyboxImage()]) await importSpec(folder, image);
}

/** Starts kubelet and kube-proxy and waits until the node is ready for pods. Needs the apiserver. */
export async function startNode(folder: string, state: ClusterState, options: NodeOptions): Promise<void> {
  const { network } = state;
  if (network === undefined) throw new Error('a node needs a network');
  const [kubelet, kubeProxy] = await Promise.all(
    (['kubelet', 'kube-proxy'] as const).map((name) => ensureBinary(name, options.log)),
  );
  await startInNetwork(folder, network, 'kubelet', kubelet?.path ?? '', [
    `--config=${join(folder, 'kubelet.json')}`,
    `--kubeconfig=${join(folder, 'pki', 'kubelet.kubeconfig')}`,
    `--hostname-override=${nodeName}`,
    `--node-ip=${network.nodeAddress}`,
    `--root-dir=${join(folder, 'kubelet')}`,
    `--cert-dir=${join(folder, 'pki', 'kubelet')}`,
  ]);
  await startInNetwork(folder, network, 'kube-proxy', kubeProxy?.path ?? '', [
    `--config=${join(folder, 'kube-proxy.json')}`,
  ]);
  await waitForNode(folder);
  state.nodeName = nodeName;
  await writeState(folder, state);
}

/** Resolves when the node says it is ready and no taint keeps pods away. */
export async function waitForNode(folder: string): Promise<void> {
  interface Node {
    spec: { taints?: unknown[] };
    status?: { conditions?: { type: string; status: string }[] };
  }
  await withApi(folder, (api) =>
    waitFor(
      async () => {
        const node = await api.call<Node>('GET', `/api/v1/nodes/${nodeName}`);
        const ready = node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
        return ready === true && (node.spec.taints ?? []).length === 0;
      },
      { what: 'the node to be ready', timeoutMs: patienceMs, check: () => assertRunning(folder, 'kubelet') },
    ),
  );
}

/** Gives an image archive to the node's containerd. */
export async function importArchive(folder: string, archive: string): Promise<void> {
  const address = ['--address', containerdSocket(folder), '--namespace', 'k8s.io'];
  await run('ctr', [...address, 'images', 'import', ...(await snapshotterFlag(folder)), archive]);
}

async function importSpec(folder: string, image: ImageSpec): Promise<void> {
  const archive = join(folder, 'image.tar');
  await writeImage(image, archive);
  await importArchive(folder, archive);
  await rm(archive);
}

async function snapshotterFlag(folder: string): Promise<string[]> {
  return (await statfs(folder)).type === overlayType ? ['--snapshotter', 'native'] : [];
}

async function startInNetwork(
  folder: string,
  network: Network,
  name: string,
  command: string,
  args: string[],
): Promise<void> {
  const [wrapper, wrapped] = inNetwork(network, command, args);
  await startProcess(folder, { name, command: await programPath(wrapper), args: wrapped });
}
