import { describe, expect, test } from 'vitest';
import { statusOf } from './fake-pod-status.ts';
import { advance, type FakedPod, type PodMemory, type PodScript } from './fake-pod.ts';

const t0 = Date.UTC(2030, 0, 1) + 400;
const addresses = { podIP: '127.64.0.1', hostIP: '127.0.0.1' };
const deleted = { deletionTimestamp: '2030-01-01T00:00:00Z', deletionGracePeriodSeconds: 10 };

function podWith(spec: Partial<FakedPod['spec']> = {}, metadata: Partial<FakedPod['metadata']> = {}): FakedPod {
  return {
    metadata: { name: 'p', namespace: 'n', uid: 'u', ...metadata },
    spec: {
      nodeName: 'fake-1',
      initContainers: [{ name: 'setup' }, { name: 'agent', image: 'a', restartPolicy: 'Always' }],
      containers: [{ name: 'supervisor', image: 's' }],
      terminationGracePeriodSeconds: 10,
      ...spec,
    },
  };
}

interface State {
  running?: object;
  waiting?: { reason: string };
  terminated?: { exitCode: number; reason: string; containerID: string; message?: string };
}

interface Status {
  phase: string;
  reason?: string;
  podIP?: string;
  conditions: { type: string; status: string; reason: string | null }[];
  containerStatuses: { name: string; ready: boolean; state: State }[];
  initContainerStatuses: { name: string; ready: boolean; restartCount: number; state: State; lastState?: State }[];
}

/** A pod that is looked at now and then; `orders` happen just before such a moment. */
class Life {
  readonly #pod: FakedPod;
  readonly #script: PodScript;
  #memory: PodMemory | undefined;
  wakeAt: number | undefined;

  constructor(pod: FakedPod, script: PodScript = {}) {
    this.#pod = pod;
    this.#script = script;
  }

  /** The status so many milliseconds after the pod was seen. */
  at(moment: number, orders: Partial<PodMemory> = {}, pod = this.#pod): Status {
    if (this.#memory !== undefined) this.#memory = { ...this.#memory, ...orders };
    const { memory, wakeAt } = advance(this.#memory, pod, this.#script, t0 + moment);
    this.#memory = memory;
    this.wakeAt = wakeAt === undefined ? undefined : wakeAt - t0;
    return statusOf(memory, pod, this.#script, addresses, t0 + moment) as unknown as Status;
  }
}

/** Phase, then supervisor and agent: what the tables compare. */
function summary({ phase, reason, containerStatuses, initContainerStatuses }: Status): string {
  const agent = initContainerStatuses.find(({ name }) => name === 'agent');
  const words = [containerStatuses[0], agent].map((status) => {
    const { waiting, terminated } = status?.state ?? {};
    return waiting?.reason ?? (terminated && `${terminated.reason} ${terminated.exitCode}`) ?? 'runs';
  });
  return `${[phase, reason].filter(Boolean).join(' ')}: ${words.join(', ')}`;
}

const isReady = (status: Status): boolean => status.conditions.some((c) => c.type === 'Ready' && c.status === 'True');
const agentOf = (status: Status) => status.initContainerStatuses.find(({ name }) => name === 'agent');
const over = (moment: number, code = 0): Partial<PodMemory> => ({
  supervisorEnd: { code, message: '{}', at: t0 + moment },
});

describe('a fake pod of protocol Http', () => {
  test('is pending without an address, then runs, then is ready', () => {
    const life = new Life(podWith(), { startDelayMs: 500, readyDelayMs: 300 });
    const pending = life.at(0);
    expect(summary(pending)).toBe('Pending: PodInitializing, PodInitializing');
    expect(pending.podIP).toBeUndefined();
    expect(pending.conditions).toContainEqual(
      expect.objectContaining({ type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized' }),
    );
    expect(life.wakeAt).toBe(500);
    const running = life.at(500);
    expect(summary(running)).toBe('Running: runs, runs');
    expect(running.podIP).toBe(addresses.podIP);
    expect(running.initContainerStatuses).toMatchObject([
      { name: 'setup', ready: true, started: false, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
      { name: 'agent', ready: true, started: true, restartCount: 0, containerID: 'fake://u-agent' },
    ]);
    expect([isReady(running), life.wakeAt]).toEqual([false, 800]);
    expect(isReady(life.at(800))).toBe(true);
  });

  test('is ready once it is bound, even if the agent is not', () => {
    const life = new Life(podWith(), { readyDelayMs: 5_000 });
    life.at(0);
    expect(isReady(life.at(10, { boundAt: t0 + 10 }))).toBe(true);
  });

  test('waits for the image of the agent', () => {
    const life = new Life(podWith(), { waiting: { reason: 'ImagePullBackOff' } });
    expect(summary(life.at(9_999))).toBe('Pending: PodInitializing, ImagePullBackOff');
  });

  test('shows the end of the supervisor at once, and is terminal when the agent has said goodbye', () => {
    const life = new Life(podWith(), { stopMs: 3_000 });
    life.at(0);
    const ending = life.at(1_000, over(1_000));
    expect(summary(ending)).toBe('Running: Completed 0, runs');
    expect(ending.containerStatuses[0]?.state.terminated?.message).toBe('{}');
    expect(isReady(ending)).toBe(false);
    expect(life.wakeAt).toBe(4_000);
    expect(summary(life.at(4_000))).toBe('Succeeded: Completed 0, Error 143');
  });

  test('kills an agent whose goodbye is longer than its grace period', () => {
    const life = new Life(podWith(), { stopMs: 60_000 });
    life.at(0);
    life.at(1_000, over(1_000));
    expect(summary(life.at(10_999))).toBe('Running: Completed 0, runs');
    expect(summary(life.at(11_000))).toBe('Succeeded: Completed 0, Error 137');
  });

  test('fails when the supervisor does', () => {
    const life = new Life(podWith());
    life.at(0);
    expect(summary(life.at(10, over(10, 137)))).toBe('Failed: Error 137, Error 143');
  });

  test('at its deadline, hides the end of the supervisor until all have ended', () => {
    const life = new Life(podWith({ activeDeadlineSeconds: 1 }), { stopMs: 2_000, stopExitCode: 0 });
    life.at(0);
    expect(summary(life.at(600))).toBe('Running: runs, runs');
    expect(summary(life.at(610, over(610)))).toBe('Running: runs, runs');
    expect(summary(life.at(2_600))).toBe('Failed DeadlineExceeded: Completed 0, Completed 0');
  });

  test('is not over before the supervisor has ended', () => {
    const life = new Life(podWith({ activeDeadlineSeconds: 1 }));
    life.at(0);
    expect(summary(life.at(700))).toBe('Running: runs, Error 143');
    expect(summary(life.at(710, over(710)))).toBe('Failed DeadlineExceeded: Completed 0, Error 143');
  });

  test('ends on deletion by the outcome of the supervisor, within the grace period that was asked for', () => {
    const life = new Life(podWith(), { stopMs: 60_000 });
    life.at(0);
    const going = podWith({}, { ...deleted, deletionGracePeriodSeconds: 20 });
    life.at(1_000, over(1_000), going);
    expect(life.wakeAt).toBe(21_000);
    expect(summary(life.at(21_000, {}, going))).toBe('Succeeded: Completed 0, Error 137');
  });

  test('cuts the goodbye short when it is deleted meanwhile, and keeps showing what it showed', () => {
    const life = new Life(podWith(), { stopMs: 60_000 });
    life.at(0);
    life.at(1_000, over(1_000));
    const going = podWith({}, { ...deleted, deletionGracePeriodSeconds: 1 });
    expect(summary(life.at(2_000, {}, going))).toBe('Running: Completed 0, runs');
    expect(life.wakeAt).toBe(3_000);
  });

  test('makes up no ends of containers that never ran', () => {
    const life = new Life(podWith({}, deleted));
    expect(summary(life.at(0))).toBe('Failed: PodInitializing, PodInitializing');
  });

  test('starts an agent that crashed again after a second, then ever later', () => {
    const life = new Life(podWith(), { exit: { afterMs: 100, code: 3 }, readyDelayMs: 50 });
    life.at(0);
    const first = life.at(100);
    expect([summary(first), isReady(first), life.wakeAt]).toEqual(['Running: runs, Error 3', false, 1_100]);
    const again = agentOf(life.at(1_100));
    expect(again).toMatchObject({
      restartCount: 1,
      containerID: 'fake://u-agent-1',
      state: { running: {} },
      lastState: { terminated: { exitCode: 3, containerID: 'fake://u-agent' } },
    });
    expect(isReady(life.at(1_150))).toBe(true);
    const second = life.at(1_200);
    expect([summary(second), life.wakeAt]).toEqual(['Running: runs, CrashLoopBackOff', 11_200]);
    expect(agentOf(second)?.lastState?.terminated?.containerID).toBe('fake://u-agent-1');
  });

  test('starts an agent again whose crash ended the session, and then ends it', () => {
    const life = new Life(podWith(), { stopMs: 500 });
    life.at(0, {});
    const crash = { orderedExit: { code: 137, reason: 'OOMKilled', at: t0 + 100 }, ...over(101) };
    expect(summary(life.at(105, crash))).toBe('Running: Completed 0, OOMKilled 137');
    expect(life.wakeAt).toBe(1_100);
    expect(summary(life.at(1_100))).toBe('Running: Completed 0, runs');
    const ended = life.at(1_600);
    expect(summary(ended)).toBe('Succeeded: Completed 0, Error 143');
    expect(agentOf(ended)?.lastState?.terminated).toMatchObject({ reason: 'OOMKilled', containerID: 'fake://u-agent' });
  });

  test('does not start an agent again that ends by itself during its goodbye', () => {
    const life = new Life(podWith(), { exit: { afterMs: 2_000, code: 0 }, stopMs: 5_000 });
    life.at(0);
    life.at(1_000, over(1_000));
    expect(summary(life.at(2_000))).toBe('Succeeded: Completed 0, Completed 0');
  });

  test('does not start an agent again in a pod that is being stopped', () => {
    const life = new Life(podWith(), {});
    life.at(0);
    life.at(100, { orderedExit: { code: 1 } });
    expect(summary(life.at(200, over(200), podWith({}, deleted)))).toBe('Succeeded: Completed 0, Error 1');
  });
});
