import { join } from 'node:path';
import { imageNames } from './base-images.ts';
import { nodeName } from './control-plane.ts';
import { clusterDnsAddress } from './network.ts';
import type { Network } from './state.ts';

/** What the configuration files of a node say; all paths lie in the cluster's folder. */
export interface NodeConfigInput {
  folder: string;
  network: Network;
  /** Folder of the CNI plugins. */
  cniPlugins: string;
  /** `overlayfs`, or `native` where the folder itself lies on an overlay. */
  snapshotter: string;
  /** The cluster's cgroup, without leading slash. */
  cgroup: string;
  /** Merged over the kubelet's configuration, for example `{nodeStatusUpdateFrequency: '1s'}`. */
  kubelet: Record<string, unknown>;
}

export function containerdSocket(folder: string): string {
  return join(folder, 'containerd.sock');
}

/** The name of the pods' network, also of what CNI keeps about it outside the cluster's folder. */
export function cniNetworkName(network: Network): string {
  return network.namespace;
}

/** containerd 1.6 and later; everything that it would keep elsewhere is moved into the folder. */
export function containerdConfig({ folder, cniPlugins, snapshotter }: NodeConfigInput): string {
  return `version = 2
root = "${folder}/containerd"
state = "${folder}/containerd-state"
[grpc]
  address = "${containerdSocket(folder)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${imageNames.pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniPlugins}"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "${folder}/runc"
`;
}

/** A bridge for the pods; it does not enforce NetworkPolicy. */
export function cniConfig({ folder, network }: NodeConfigInput): string {
  return JSON.stringify({
    cniVersion: '0.4.0',
    name: cniNetworkName(network),
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        // A pod reaches itself through a Service too.
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: network.podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(folder, 'ipam'),
        },
      },
      { type: 'loopback' },
    ],
  });
}

/** For one machine that is no dedicated node: it may swap, be short of disk, and its own processes are no concern of the kubelet. */
export function kubeletConfig({ folder, network, cgroup, kubelet }: NodeConfigInput): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(folder, 'pki', 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    address: network.nodeAddress,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    oomScoreAdj: 0,
    makeIPTablesUtilChains: false,
    containerRuntimeEndpoint: `unix://${containerdSocket(folder)}`,
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    // Images come from archives: one that is collected as unused could not be pulled again.
    imageGCHighThresholdPercent: 100,
    podLogsDir: join(folder, 'pod-logs'),
    volumePluginDir: join(folder, 'volume-plugins'),
    nodeStatusUpdateFrequency: '4s',
    // One image that does not exist must not hold up the start of others.
    serializeImagePulls: false,
    // At its start a kubelet of 1.34 that looks after devices reads its own node while it makes it, and now and then dies of that.
    featureGates: { DynamicResourceAllocation: false },
    resolvConf: join(folder, 'resolv.conf'),
    clusterDNS: [clusterDnsAddress],
    clusterDomain: 'cluster.local',
    ...kubelet,
  });
}

export function kubeProxyConfig({ folder, network }: NodeConfigInput): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clientConnection: { kubeconfig: join(folder, 'pki', 'kube-proxy.kubeconfig') },
    clusterCIDR: network.podCidr,
    // Limits of connection tracking belong to the machine, not to this network namespace.
    conntrack: { maxPerCore: 0 },
    hostnameOverride: nodeName,
  });
}
