import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environment, SUPERVISOR_PORT } from '../../src/supervisor/wire.ts';
import { startFakeKubelet, type FakeKubelet, type PodScript } from '../cluster/fake-kubelet.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';

interface Pod {
  spec: { nodeName?: string };
  status: {
    phase: string;
    reason?: string;
    podIP?: string;
    containerStatuses?: { state: unknown }[];
    initContainerStatuses?: { name: string; restartCount: number; state: unknown; lastState?: unknown }[];
  };
}

const cluster = await connectCluster();
const namespace = `fake-kubelet-${Date.now().toString(36)}`;
const scripts = new Map<string, PodScript>();
const errors: Error[] = [];
let kubelet: FakeKubelet;

const kubectl = async (...args: string[]): Promise<string> =>
  (await cluster.kubectl(['--namespace', namespace, ...args], { timeoutMs: 120_000 })).stdout;

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

/** Protocol Http: the supervisor is the main container, the agent a sidecar. */
async function createHttpPod(name: string, script: PodScript): Promise<void> {
  const { publicKey } = generateKeyPairSync('ed25519');
  const keys = { controller: [{ kid: 'c1', ...publicKey.export({ format: 'jwk' }) }], gateway: [] };
  const env = [
    { name: environment.podUid, valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: environment.publicKeys, value: JSON.stringify(keys) },
  ];
  await createPod(name, script, {
    initContainers: [{ name: 'agent', image: 'none', restartPolicy: 'Always' }],
    containers: [{ name: 'supervisor', image: 'none', env }],
  });
}

const agentOf = (pod: Pod) => pod.status.initContainerStatuses?.find(({ name }) => name === 'agent');

const untilPod = async (name: string, what: string, matches: (pod: Pod) => boolean): Promise<Pod> =>
  waitFor(
    async () => {
      const pod = JSON.parse(await kubectl('get', 'pod', name, '-o', 'json')) as Pod;
      return matches(pod) && pod;
    },
    { what: `pod ${name} to be ${what}`, timeoutMs: 90_000, intervalMs: 100 },
  );

const untilPhase = (name: string, phase: string): Promise<Pod> =>
  untilPod(name, phase, (pod) => pod.status.phase === phase);

beforeAll(async () => {
  await cluster.kubectl(['create', 'namespace', namespace]);
  await waitFor(() => kubectl('get', 'serviceaccount', 'default'), { what: 'the service account', timeoutMs: 90_000 });
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
    await kubectl('wait', '--for=condition=Ready', 'pod/plain', '--timeout=90s');
    await kubectl('delete', 'pod', 'plain', '--timeout=90s');
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

  test('plays a pod of protocol Http, whose supervisor answers at its address', async () => {
    await createHttpPod('http', { readyDelayMs: 300, stopMs: 700 });
    await kubectl('wait', '--for=condition=Ready', 'pod/http', '--timeout=90s');
    const ready = await untilPhase('http', 'Running');
    const answer = await fetch(`http://${ready.status.podIP ?? ''}:${SUPERVISOR_PORT}/readyz`);
    expect(answer.status).toBe(200);
    await kubectl('patch', 'pod', 'http', '--type=merge', '--patch', '{"spec":{"activeDeadlineSeconds":1}}');
    const { status } = await untilPhase('http', 'Failed');
    expect(status).toMatchObject({
      reason: 'DeadlineExceeded',
      containerStatuses: [{ name: 'supervisor', state: { terminated: { exitCode: 0 } } }],
      initContainerStatuses: [{ name: 'agent', state: { terminated: { exitCode: 143 } } }],
    });
    const message = (status.containerStatuses?.[0]?.state as { terminated: { message: string } }).terminated.message;
    expect(JSON.parse(message)).toMatchObject({ outcome: 'Stopped', delivered: false });
  });

  test('starts the agent of a pod again, and ends the pod with its supervisor', async () => {
    await createHttpPod('crashes', {});
    await untilPhase('crashes', 'Running');
    kubelet.exit(namespace, 'crashes', { code: 137, reason: 'OOMKilled' });
    const again = await untilPod('crashes', 'running again', (pod) => agentOf(pod)?.restartCount === 1);
    expect(agentOf(again)).toMatchObject({
      state: { running: {} },
      lastState: { terminated: { reason: 'OOMKilled' } },
    });
    kubelet.exit(namespace, 'crashes', { code: 3 }, 'supervisor');
    await untilPhase('crashes', 'Failed');
  });

  test('makes no calls that the apiserver refuses', () => {
    const refused = errors.filter((error) => /: 4\d\d /.test(error.message));
    expect(refused).toEqual([]);
  });
});
