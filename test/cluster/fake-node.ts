import { ApiError, type Api } from './api.ts';
import { waitFor } from './wait.ts';

/** Far more than any test asks for: what limits pods is the test, not the node. */
const capacity = { cpu: '10000', memory: '100Ti', 'ephemeral-storage': '100Ti', pods: '100000' };

/** Makes a Node object that is ready, or makes one that exists ready again. */
export async function createFakeNode(api: Api, name: string, index: number): Promise<void> {
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    'bullpen.dev/fake-node': 'true',
  };
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
  try {
    await api.text('POST', '/api/v1/nodes', node);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  }
  const nodeInfo = { architecture: 'amd64', operatingSystem: 'linux', kubeletVersion: 'v0.0.0-fake' };
  const addresses = [{ type: 'InternalIP', address: `127.63.${(index >> 8) & 255}.${index & 255}` }];
  await patchStatus(api, name, { capacity, allocatable: capacity, nodeInfo, addresses });
  await setNodeReady(api, name, 'True');
}

/** Resolves when the controller manager has taken away the taint that every new node gets. */
export async function waitUntilSchedulable(api: Api, name: string): Promise<void> {
  const hasNoTaint = async (): Promise<boolean> => {
    const node = await api.call<{ spec: { taints?: unknown[] } }>('GET', `/api/v1/nodes/${name}`);
    return (node.spec.taints ?? []).length === 0;
  };
  await waitFor(hasNoTaint, { what: `node ${name} to lose its taints`, timeoutMs: 90_000 });
}

/** Writes the Ready condition, from which the controller manager derives taints. */
export async function setNodeReady(api: Api, name: string, status: 'True' | 'False' | 'Unknown'): Promise<void> {
  const now = new Date().toISOString();
  const reason = { True: 'KubeletReady', False: 'KubeletNotReady', Unknown: 'NodeStatusUnknown' }[status];
  const condition = (type: string, value: string, why: string): Record<string, string> => {
    return { type, status: value, reason: why, lastHeartbeatTime: now, lastTransitionTime: now };
  };
  const pressures = ['MemoryPressure', 'DiskPressure', 'PIDPressure'];
  const conditions = [
    condition('Ready', status, reason),
    ...pressures.map((type) => condition(type, status === 'Unknown' ? 'Unknown' : 'False', `KubeletHasNo${type}`)),
  ];
  await patchStatus(api, name, { conditions });
}

async function patchStatus(api: Api, name: string, status: unknown): Promise<void> {
  await api.text('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/strategic-merge-patch+json');
}
