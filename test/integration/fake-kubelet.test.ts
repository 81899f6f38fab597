import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startFakeKubelet, type FakeKubelet, type PodScript } from '../cluster/fake-kubelet.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';

interface Pod {
  spec: { nodeName?: string };
  status: { phase: string; reason?: string; containerStatuses?: { state: unknown }[] };
}

const cluster = await connectCluster();
const namespace = `fake-kubelet-${Date.now().toString(36)}`;
const scripts = new Map<string, PodScript>();
const errors: Error[] = [];
let kubelet: FakeKubelet;

const kubectl = async (...args: string[]): Promise<string> =>
  (await cluster.kubectl(['--namespace', namespace, ...args], { timeoutMs: 60_000 })).stdout;

async function createPod(name: string, script: PodScript, spec: Record<string, unknown> = {}): Promise<void> {
  scripts.set(name, script);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      // Only nodes of this file: others may play nodes on the same cluster.
      nodeSelector: { 'kubernetes.io/hostname': kubelet.nodes[0] },
      containers: [{ name: 'main', image: 'none' }],
      ...spec,
    },
  };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
}

const untilPod = async (name: string, what: string, matches: (pod: Pod) => boolean): Promise<Pod> =>
  waitFor(
    async () => {
      const pod = JSON.parse(await kubectl('get', 'pod', name, '-o', 'json')) as Pod;
      return matches(pod) && pod;
    },
    { what: `pod ${name} to be ${what}`, timeoutMs: 30_000, intervalMs: 100 },
  );

const untilPhase = (name: string, phase: string): Promise<Pod> =>
  untilPod(name, phase, (pod) => pod.status.phase === phase);

beforeAll(async () => {
  await cluster.kubectl(['create', 'namespace', namespace]);
  await waitFor(() => kubectl('get', 'serviceaccount', 'default'), { what: 'the service account', timeoutMs: 30_000 });
  kubelet = await startFakeKubelet({
    kubeconfig: cluster.kubeconfig,
    namePrefix: `${namespace}-`,
    nodes: 2,
    script: (pod) => scripts.get(pod.metadata.name) ?? {},
    onError: (error) => errors.push(error),
  });
});

afterAll(async () => {
  await kubectl('delete', 'pods', '--all', '--force', '--grace-period=0');
  await kubelet.stop({ removeNodes: true });
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
});

describe('a fake kubelet on a real apiserver', () => {
  test('runs a pod that the real scheduler gave it, and lets it go when it is deleted', async () => {
    await createPod('plain', {});
    const pod = await untilPhase('plain', 'Running');
    expect(kubelet.nodes).toContain(pod.spec.nodeName);
    await kubectl('wait', '--for=condition=Ready', 'pod/plain', '--timeout=10s');
    await kubectl('delete', 'pod', 'plain', '--timeout=20s');
    await expect(kubectl('get', 'pod', 'plain')).rejects.toThrow(/not found/);
  });

  test('ends a pod as scripted', async () => {
    await createPod('ends', { startDelayMs: 200, exit: { afterMs: 300, code: 4, message: 'enough' } });
    const pod = await untilPhase('ends', 'Failed');
    expect(pod.status.containerStatuses?.[0]?.state).toMatchObject({
      terminated: { exitCode: 4, reason: 'Error', message: 'enough' },
    });
  });

  test('ends a pod when told to, out of memory', async () => {
    await createPod('grows', {});
    await untilPhase('grows', 'Running');
    kubelet.exit(namespace, 'grows', { code: 137, reason: 'OOMKilled' });
    const pod = await untilPhase('grows', 'Failed');
    expect(pod.status.containerStatuses?.[0]?.state).toMatchObject({ terminated: { reason: 'OOMKilled' } });
  });

  test('cuts a pod at a deadline that is set while it runs', async () => {
    await createPod('cut', {});
    await untilPhase('cut', 'Running');
    await kubectl('patch', 'pod', 'cut', '--type=merge', '--patch', '{"spec":{"activeDeadlineSeconds":1}}');
    expect((await untilPhase('cut', 'Failed')).status.reason).toBe('DeadlineExceeded');
  });

  test('shows why a pod does not start', async () => {
    await createPod('pull', { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "none"' } });
    const pod = await untilPod('pull', 'waiting', (found) => found.status.containerStatuses !== undefined);
    expect(pod.status.containerStatuses?.[0]?.state).toMatchObject({ waiting: { reason: 'ImagePullBackOff' } });
  });

  test('notices nothing while paused', async () => {
    kubelet.pause();
    await createPod('later', {});
    await untilPod('later', 'scheduled', (pod) => pod.spec.nodeName !== undefined);
    expect((await untilPhase('later', 'Pending')).status.containerStatuses).toBeUndefined();
    kubelet.resume();
    await untilPhase('later', 'Running');
  });

  test('evicts a pod', async () => {
    await createPod('evicted', {});
    await untilPhase('evicted', 'Running');
    kubelet.evict(namespace, 'evicted');
    expect((await untilPhase('evicted', 'Failed')).status.reason).toBe('Evicted');
  });

  test('makes no calls that the apiserver refuses', () => {
    const refused = errors.filter((error) => /: 4\d\d /.test(error.message));
    expect(refused).toEqual([]);
  });
});
