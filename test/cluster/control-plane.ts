import { join } from 'node:path';
import { withApi } from './api.ts';
import { ensureBinary } from './binaries.ts';
import { kubernetesServiceAddress, serviceCidr } from './network.ts';
import { createPki, writeKubeconfig } from './pki.ts';
import { freePorts } from './ports.ts';
import { assertRunning, startProcess } from './process.ts';
import { kubeconfigOf, writeState, type ClusterState } from './state.ts';
import { waitFor } from './wait.ts';

/** Most of it is waiting for a processor when many tests run; what does not come in this time does not come. */
export const patienceMs = 180_000;

export interface ControlPlaneOptions {
  log: (line: string) => void;
  /** More flags; the last one of a name wins. */
  apiServerArgs?: string[];
  controllerManagerArgs?: string[];
  schedulerArgs?: string[];
}

/** The Node object that a cluster with a node has. */
export const nodeName = 'node-1';

/** Starts etcd and the apiserver, and waits until it serves. */
export async function startApiServer(folder: string, state: ClusterState, options: ControlPlaneOptions): Promise<void> {
  const [etcd, apiServer] = await Promise.all(
    (['etcd', 'kube-apiserver'] as const).map((name) => ensureBinary(name, options.log)),
  );
  const [client = 0, peer = 0, secure = 0] = await freePorts(3);
  // With a node, the apiserver listens on the link to it, so that pods reach it; an address of its own needs no port of its own.
  const address = state.network?.hostAddress ?? '127.0.0.1';
  const port = state.network === undefined ? secure : 6443;
  state.etcdUrl = `http://127.0.0.1:${client}`;
  state.apiServer = { address, port };
  await writeState(folder, state);

  const pki = join(folder, 'pki');
  const names = [`IP:${address}`, 'IP:127.0.0.1', `IP:${kubernetesServiceAddress}`, 'DNS:localhost'];
  await createPki(pki, [
    { name: 'apiserver', commonName: 'kube-apiserver', alternativeNames: [...names, 'DNS:kubernetes.default.svc'] },
    { name: 'admin', commonName: 'admin', organization: 'system:masters' },
    { name: 'controller-manager', commonName: 'system:kube-controller-manager', organization: 'system:masters' },
    { name: 'scheduler', commonName: 'system:kube-scheduler' },
    { name: 'kubelet', commonName: `system:node:${nodeName}`, organization: 'system:nodes' },
    { name: 'kube-proxy', commonName: 'system:kube-proxy' },
  ]);
  const server = `https://${address}:${port}`;
  await writeKubeconfig(kubeconfigOf(folder), server, pki, 'admin');
  for (const name of ['controller-manager', 'scheduler', 'kubelet', 'kube-proxy']) {
    await writeKubeconfig(join(pki, `${name}.kubeconfig`), server, pki, name);
  }

  await startProcess(folder, {
    name: 'etcd',
    command: etcd?.path ?? '',
    args: [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${state.etcdUrl}`,
      `--advertise-client-urls=${state.etcdUrl}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
    ],
  });
  await startProcess(folder, {
    name: 'kube-apiserver',
    command: apiServer?.path ?? '',
    args: [
      `--etcd-servers=${state.etcdUrl}`,
      `--bind-address=${address}`,
      `--secure-port=${port}`,
      `--advertise-address=${address}`,
      // Endpoints may not name a loopback address, and without a node nobody uses them.
      ...(state.network === undefined ? ['--endpoint-reconciler-type=none'] : []),
      `--tls-cert-file=${join(pki, 'apiserver.crt')}`,
      `--tls-private-key-file=${join(pki, 'apiserver.key')}`,
      `--client-ca-file=${join(pki, 'ca.crt')}`,
      `--service-account-key-file=${join(pki, 'sa.pub')}`,
      `--service-account-signing-key-file=${join(pki, 'sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-cluster-ip-range=${serviceCidr}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      // Else logs and exec look the node's name up in DNS.
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-client-certificate=${join(pki, 'admin.crt')}`,
      `--kubelet-client-key=${join(pki, 'admin.key')}`,
      '--profiling=false',
      ...(options.apiServerArgs ?? []),
    ],
  });
  await waitForApiServer(folder);
}

/** Starts controller manager and scheduler. */
export async function startControllers(
  folder: string,
  state: ClusterState,
  options: ControlPlaneOptions,
): Promise<void> {
  const pki = join(folder, 'pki');
  // The defaults hold back bursts that a test cluster is for.
  const unhurried = ['--kube-api-qps=1000', '--kube-api-burst=2000'];
  const common = ['--leader-elect=false', '--secure-port=0', '--profiling=false', ...unhurried];
  // Nodes without a kubelet send no signs of life; whoever plays them says when one is lost. A real one gets half the usual time.
  const grace = state.size === 'node' ? '20s' : '24h';
  await startProcess(folder, {
    name: 'kube-controller-manager',
    command: (await ensureBinary('kube-controller-manager', options.log)).path,
    args: [
      `--kubeconfig=${join(pki, 'controller-manager.kubeconfig')}`,
      `--service-account-private-key-file=${join(pki, 'sa.key')}`,
      `--root-ca-file=${join(pki, 'ca.crt')}`,
      `--node-monitor-grace-period=${grace}`,
      ...common,
      ...(options.controllerManagerArgs ?? []),
    ],
  });
  await startProcess(folder, {
    name: 'kube-scheduler',
    command: (await ensureBinary('kube-scheduler', options.log)).path,
    args: [`--kubeconfig=${join(pki, 'scheduler.kubeconfig')}`, ...common, ...(options.schedulerArgs ?? [])],
  });
}

/** Resolves when the apiserver says that it is ready. */
export async function waitForApiServer(folder: string): Promise<void> {
  await withApi(folder, (api) =>
    waitFor(async () => (await api.text('GET', '/readyz')) === 'ok', {
      what: 'the apiserver to be ready',
      timeoutMs: patienceMs,
      check: () => assertRunning(folder, 'kube-apiserver'),
    }),
  );
}

/** Resolves when pods can be created in the default namespace: its service account is the controller manager's first work. */
export async function waitForControllers(folder: string): Promise<void> {
  await withApi(folder, (api) =>
    waitFor(() => api.call('GET', '/api/v1/namespaces/default/serviceaccounts/default'), {
      what: 'the controller manager to make the default service account',
      timeoutMs: patienceMs,
      check: async () => {
        await assertRunning(folder, 'kube-controller-manager');
        await assertRunning(folder, 'kube-scheduler');
      },
    }),
  );
}
