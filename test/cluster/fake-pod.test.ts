import { describe, expect, test } from 'vitest';
import { statusOf } from './fake-pod-status.ts';
import { advance, type FakedPod, type PodMemory, type PodScript } from './fake-pod.ts';

const t0 = Date.UTC(2030, 0, 1) + 400;
const addresses = { podIP: '127.64.0.1', hostIP: '127.0.0.1' };

function podWith(spec: Partial<FakedPod['spec']> = {}, metadata: Partial<FakedPod['metadata']> = {}): FakedPod {
  return {
    metadata: { name: 'p', namespace: 'n', uid: 'u', ...metadata },
    spec: {
      nodeName: 'fake-1',
      containers: [{ name: 'main', image: 'i' }],
      terminationGracePeriodSeconds: 10,
      ...spec,
    },
  };
}

/** The pod's status at each moment (milliseconds after it was seen), reduced to what the tables compare. */
function life(
  pod: FakedPod,
  script: PodScript,
  moments: number[],
  orders: Record<number, Partial<PodMemory>> = {},
): string[] {
  let memory: PodMemory | undefined;
  return moments.map((moment) => {
    if (memory !== undefined) memory = { ...memory, ...orders[moment] };
    memory = advance(memory, pod, script, t0 + moment).memory;
    const status = statusOf(memory, pod, script, addresses, t0 + moment) as {
      phase: string;
      reason?: string;
      containerStatuses: {
        state: { terminated?: { exitCode: number; reason: string }; waiting?: { reason: string } };
      }[];
    };
    const state = status.containerStatuses[0]?.state;
    const detail =
      state?.waiting?.reason ?? (state?.terminated && `${state.terminated.reason} ${state.terminated.exitCode}`);
    return [status.phase, status.reason, detail].filter((word) => word !== undefined).join(' ');
  });
}

describe('a fake pod', () => {
  const deleted = { deletionTimestamp: '2030-01-01T00:00:00Z', deletionGracePeriodSeconds: 10 };
  test.each<[string, FakedPod, PodScript, number[], string[]]>([
    ['starts at once and stays', podWith(), {}, [0, 99_999], ['Running', 'Running']],
    [
      'starts after a delay',
      podWith(),
      { startDelayMs: 500 },
      [0, 499, 500],
      ['Pending ContainerCreating', 'Pending ContainerCreating', 'Running'],
    ],
    ['succeeds', podWith(), { exit: { afterMs: 100, code: 0 } }, [0, 100], ['Running', 'Succeeded Completed 0']],
    ['fails', podWith(), { exit: { afterMs: 100, code: 2 } }, [0, 100], ['Running', 'Failed Error 2']],
    [
      'runs out of memory',
      podWith(),
      { exit: { afterMs: 1, code: 137, reason: 'OOMKilled' } },
      [0, 1],
      ['Running', 'Failed OOMKilled 137'],
    ],
    [
      'waits for its image for ever',
      podWith(),
      { waiting: { reason: 'ImagePullBackOff' } },
      [0, 9_999],
      ['Pending ImagePullBackOff', 'Pending ImagePullBackOff'],
    ],
    [
      'is cut at its deadline, from the whole second it started in',
      podWith({ activeDeadlineSeconds: 2 }),
      {},
      [0, 1_599, 1_600],
      ['Running', 'Running', 'Failed DeadlineExceeded Error 143'],
    ],
    [
      'uses its grace period',
      podWith({ activeDeadlineSeconds: 1 }),
      { stopMs: 3_000, stopExitCode: 0 },
      [0, 600, 3_599, 3_600],
      ['Running', 'Running', 'Running', 'Failed DeadlineExceeded Completed 0'],
    ],
    ['ends on deletion', podWith({}, deleted), {}, [0], ['Failed ContainerStatusUnknown 137']],
  ])('%s', (_name, pod, script, moments, expected) => {
    expect(life(pod, script, moments)).toEqual(expected);
  });

  test('is killed when it needs longer than its grace period', () => {
    const pod = podWith({ activeDeadlineSeconds: 1 });
    expect(life(pod, { stopMs: 60_000 }, [0, 600, 10_599, 10_600])).toEqual([
      'Running',
      'Running',
      'Running',
      'Failed DeadlineExceeded Error 137',
    ]);
  });

  test('does at once what a test orders', () => {
    expect(life(podWith(), {}, [0, 5], { 5: { orderedExit: { code: 7 } } })).toEqual(['Running', 'Failed Error 7']);
    const orderedStop = { reason: 'Evicted', message: 'm' };
    expect(life(podWith(), {}, [0, 5], { 5: { orderedStop } })).toEqual(['Running', 'Failed Evicted Error 143']);
  });

  test('says when to look again', () => {
    const pod = podWith({ activeDeadlineSeconds: 2 });
    expect(advance(undefined, pod, { exit: { afterMs: 5_000, code: 0 } }, t0).wakeAt).toBe(t0 + 1_600);
    expect(advance(undefined, pod, { exit: { afterMs: 500, code: 0 } }, t0).wakeAt).toBe(t0 + 500);
    expect(advance(undefined, podWith(), {}, t0).wakeAt).toBeUndefined();
  });

  test('takes a later, shorter grace period', () => {
    const slow = { stopMs: 60_000 };
    const first = advance(undefined, podWith(), slow, t0).memory;
    const asked = advance(first, podWith({}, deleted), slow, t0 + 1_000);
    expect(asked.wakeAt).toBe(t0 + 11_000);
    const shorter = podWith({}, { ...deleted, deletionGracePeriodSeconds: 1 });
    expect(advance(asked.memory, shorter, slow, t0 + 1_500).wakeAt).toBe(t0 + 2_000);
  });

  test('reports a sidecar as long as the main container runs', () => {
    const pod = podWith({ initContainers: [{ name: 'agent', image: 'a', restartPolicy: 'Always' }] });
    const { memory } = advance(undefined, pod, {}, t0);
    expect(statusOf(memory, pod, {}, addresses, t0)).toMatchObject({
      initContainerStatuses: [{ name: 'agent', started: true, state: { running: {} } }],
    });
  });
});
