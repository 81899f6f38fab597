import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imageNames } from './base-images.ts';
import { connectCluster } from './vitest-setup.ts';
import { waitFor } from './wait.ts';

interface Pod {
  metadata: { uid: string };
  status: {
    phase: string;
    podIP?: string;
    containerStatuses?: { restartCount: number; state: { terminated?: { exitCode: number; reason: string } } }[];
  };
}

const cluster = await connectCluster();
const namespace = `cluster-${Date.now().toString(36)}`;
const onOwnNode = describe.runIf(cluster.node !== undefined);

const kubectl = async (...args: string[]): Promise<string> =>
  (await cluster.kubectl(['--namespace', namespace, ...args], { timeoutMs: 60_000 })).stdout;

async function runPod(name: string, script: string): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'main', image: imageNames.busybox, imagePullPolicy: 'Never', command: ['sh', '-c', script] },
      ],
    },
  };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
}

const getPod = async (name: string): Promise<Pod> => JSON.parse(await kubectl('get', 'pod', name, '-o', 'json')) as Pod;

const phaseOf = async (name: string): Promise<string> => (await getPod(name)).status.phase;

const untilPhase = async (name: string, ...phases: string[]): Promise<Pod> =>
  waitFor(
    async () => {
      const pod = await getPod(name);
      return phases.includes(pod.status.phase) && pod;
    },
    { what: `pod ${name} to be ${phases.join(' or ')}`, timeoutMs: 90_000, intervalMs: 200 },
  );

/** Until the script has written something: then its traps are set too. */
const untilLog = async (name: string, word: string): Promise<unknown> =>
  waitFor(async () => (await kubectl('logs', name)).includes(word), {
    what: `${word} in the log of ${name}`,
    timeoutMs: 90_000,
    intervalMs: 200,
  });

beforeAll(async () => {
  await cluster.kubectl(['create', 'namespace', namespace]);
  await waitFor(() => kubectl('get', 'serviceaccount', 'default'), { what: 'the service account', timeoutMs: 90_000 });
});

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
});

onOwnNode('a cluster with a node', () => {
  test('runs a pod to its end, with its log and exit code', async () => {
    await runPod('short', 'echo hello; exit 3');
    const pod = await untilPhase('short', 'Failed');
    expect(pod.status.containerStatuses?.[0]?.state.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
    expect(await kubectl('logs', 'short')).toBe('hello\n');
  });

  test('lets a pod reach the apiserver at the address of the kubernetes Service', async () => {
    await runPod('caller', 'wget -qO- --no-check-certificate https://10.96.0.1/version');
    await untilPhase('caller', 'Succeeded');
    expect(await kubectl('logs', 'caller')).toContain('"gitVersion": "v1.');
  });

  test('runs commands in a pod', async () => {
    await runPod('shell', 'echo up; sleep 3600');
    await untilLog('shell', 'up');
    expect(await kubectl('exec', 'shell', '--', 'echo', 'inside')).toBe('inside\n');
  });

  test('loses the sandbox of a pod when told to', async () => {
    await runPod('sandbox', 'echo up; sleep 3600');
    await untilLog('sandbox', 'up');
    await cluster.node?.killSandbox(namespace, 'sandbox');
    await untilPhase('sandbox', 'Succeeded', 'Failed');
  });

  test('kills one container when told to', async () => {
    await runPod('killed', 'echo up; sleep 3600');
    await untilLog('killed', 'up');
    await cluster.node?.killContainer(namespace, 'killed', 'main');
    const pod = await untilPhase('killed', 'Failed');
    expect(pod.status.containerStatuses?.[0]?.state.terminated).toMatchObject({ exitCode: 137 });
  });

  test('keeps containers running while the kubelet is down', async () => {
    await runPod('patient', 'echo up; sleep 8; exit 0');
    await untilLog('patient', 'up');
    await cluster.node?.stopKubelet();
    await expect(kubectl('logs', 'patient')).rejects.toThrow();
    expect(await phaseOf('patient')).toBe('Running');
    await cluster.node?.startKubelet();
    const pod = await untilPhase('patient', 'Succeeded');
    expect(pod.status.containerStatuses?.[0]?.restartCount).toBe(0);
  });

  test('restarts the apiserver without losing anything', async () => {
    await runPod('witness', 'echo up; sleep 3600');
    const before = await untilPhase('witness', 'Running');
    await cluster.restartApiServer();
    expect((await getPod('witness')).metadata.uid).toBe(before.metadata.uid);
    expect(await phaseOf('witness')).toBe('Running');
  });

  test('forgets history when compacted, so that old continue tokens are refused', async () => {
    const first = JSON.parse(await kubectl('get', '--raw', '/api/v1/events?limit=1')) as {
      metadata: { continue: string };
    };
    await kubectl('create', 'configmap', 'change');
    await cluster.compact();
    const next = `/api/v1/events?limit=1&continue=${first.metadata.continue}`;
    await expect(kubectl('get', '--raw', next)).rejects.toThrow(/too old|expired|410/i);
  });
});
