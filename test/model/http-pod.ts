import type { Clock } from '../../src/kube/clock.ts';
import type { Pod } from '../../src/kube/objects.ts';
import type { ContainerStatus } from '../../src/pods/pod-facts.ts';
import { wholeSeconds } from './deletion.ts';
import type { Workload } from './kubelet.ts';
import { ModelAgent, type Exit } from './model-agent.ts';
import { ModelSupervisor } from './model-supervisor.ts';
import type { PodNetwork } from './pod-network.ts';

/** How long a supervisor that was ready counts as ready although its agent is not: the probe has to fail three times. */
const UNREADY_AFTER_MS = 3_000;

/** From the start of the supervisor's container to the moment when it listens. */
const LISTENS_AFTER_MS = 100;

/** What the world says to pods of protocol Http. */
export interface HttpWorld {
  /** By turns: from the start of an agent's container to its readiness, milliseconds. */
  bootMs: (podUid: string) => number;
  /** From the node's acceptance of a pod to the start of its agent, and from there to that of its supervisor. */
  startMs: { agent: number; supervisor: number };
  imagesCanBePulled: () => boolean;
  agentsBoot: () => boolean;
  workloadOf: (sessionUid: string) => Workload;
  onBound: (podUid: string, sessionUid: string) => void;
  onTold: (podUid: string, sessionUid: string) => void;
  pods: PodNetwork;
}

export interface HttpPodDeps extends HttpWorld {
  podUid: string;
  node: string;
  /** The world's time. */
  clock: Clock;
  skewMs: number;
  /** Something that its status shows has changed. */
  onChange: () => void;
}

/** The containers of a pod of protocol Http as they are on the node, whether anybody can tell or not. */
export class HttpPodOnNode {
  readonly acceptedAt: number;
  readonly ip: string;
  readonly agent: ModelAgent;
  supervisor: ModelSupervisor | undefined;
  /** Somebody wants it to end: it is deleted, its deadline has passed, or its sandbox has died. */
  term: 'deadline' | 'deletion' | 'sandbox' | undefined;
  reportedEnd = false;
  readonly #deps: HttpPodDeps;
  readonly #clock: Clock;
  #begun = false;
  #isGone = false;
  #readyAt: number | undefined;
  #readySince: number | undefined;

  constructor(deps: HttpPodDeps) {
    const { clock, skewMs, podUid } = deps;
    this.#deps = deps;
    this.#clock = {
      now: () => clock.now() + skewMs,
      monotonic: () => clock.monotonic(),
      setTimeout: (fn, ms) => clock.setTimeout(() => (this.#isGone ? undefined : fn()), ms),
    };
    this.acceptedAt = this.#clock.now();
    this.ip = deps.pods.assign(deps.node);
    this.agent = new ModelAgent({
      clock: this.#clock,
      bootMs: deps.bootMs(podUid),
      boots: deps.agentsBoot,
      workloadOf: deps.workloadOf,
      onTold: (sessionUid) => deps.onTold(podUid, sessionUid),
      onChange: () => this.#changed(),
    });
    this.#clock.setTimeout(() => this.tryStart(), deps.startMs.agent);
  }

  /** Starts its containers, once its images are there. */
  tryStart(): void {
    const { imagesCanBePulled, startMs } = this.#deps;
    const isDue = this.#clock.now() >= this.acceptedAt + startMs.agent;
    if (this.#begun || this.term !== undefined || this.#isGone || !isDue || !imagesCanBePulled()) return;
    this.#begun = true;
    this.agent.start();
    this.#clock.setTimeout(() => this.#startSupervisor(), startMs.supervisor);
  }

  get isOver(): boolean {
    const supervisorRuns = this.supervisor !== undefined && this.supervisor.exit === undefined;
    return !supervisorRuns && !this.agent.isRunning && (this.term ?? this.supervisor?.exit) !== undefined;
  }

  /** The supervisor hears TERM first, and the agent when it has ended. */
  terminate(because: 'deadline' | 'deletion' | 'sandbox', graceMs: number): void {
    const isNews = this.term === undefined;
    this.term ??= because;
    this.supervisor?.terminate();
    this.agent.terminate(graceMs);
    if (isNews) this.#changed();
  }

  /** All of it is gone at once. */
  kill(): void {
    if (this.#isGone) return;
    this.term ??= 'deletion';
    this.supervisor?.kill();
    this.agent.end(137, 'Error');
    this.#isGone = true;
    this.#deps.pods.release(this.ip);
  }

  /** What the kubelet reports of its containers; undefined while they are being ended, of which it says nothing. */
  report(): Partial<Pod['status']> | undefined {
    if (this.term !== undefined && !this.isOver) return undefined;
    const { life } = this.agent;
    return {
      ...(life !== undefined && { podIP: this.ip }),
      initContainerStatuses: [this.#agentStatus()],
      containerStatuses: [this.#supervisorStatus()],
    };
  }

  /** The condition Ready. */
  readyCondition(): { type: string; status: string; lastTransitionTime: string } {
    const ready = this.#isReady();
    if (ready !== (this.#readySince !== undefined)) this.#readySince = ready ? this.#clock.now() : undefined;
    return {
      type: 'Ready',
      status: ready ? 'True' : 'False',
      lastTransitionTime: wholeSeconds(this.#readySince ?? this.acceptedAt),
    };
  }

  #isReady(): boolean {
    const { supervisor, agent } = this;
    if (supervisor === undefined || supervisor.exit !== undefined || this.term !== undefined || !agent.isRunning)
      return false;
    const now = this.#clock.now();
    if (now < supervisor.startedAt + LISTENS_AFTER_MS) return false;
    if (supervisor.isBound || agent.isReady) this.#readyAt = now;
    return now < (this.#readyAt ?? -Infinity) + UNREADY_AFTER_MS;
  }

  #startSupervisor(): void {
    if (this.term !== undefined) return;
    const { clock, skewMs, podUid, onBound, pods } = this.#deps;
    const supervisor = new ModelSupervisor({
      podUid,
      agent: this.agent,
      clock,
      skewMs,
      onBound: (sessionUid) => onBound(podUid, sessionUid),
      onExit: () => this.#changed(),
    });
    this.supervisor = supervisor;
    this.#clock.setTimeout(() => {
      pods.listen(this.ip, supervisor);
      this.#changed();
    }, LISTENS_AFTER_MS);
    this.#changed();
  }

  #changed(): void {
    if (!this.#isGone) this.#deps.onChange();
  }

  #agentStatus(): ContainerStatus {
    const { life, lastExit, restarts } = this.agent;
    const status = { name: 'agent', image: '', imageID: '', restartCount: restarts };
    if (life === undefined) return { ...status, ready: false, state: { waiting: this.#waiting() } };
    const startedAt = wholeSeconds(life.startedAt);
    const lastState = lastExit && { lastState: { terminated: terminated(lastExit) } };
    if (life.exit === undefined) return { ...status, ready: true, state: { running: { startedAt } }, ...lastState };
    if (this.term !== undefined || this.supervisor?.exit !== undefined)
      return { ...status, ready: false, state: { terminated: { ...terminated(life.exit), startedAt } }, ...lastState };
    const reason = 'CrashLoopBackOff';
    const ended = { terminated: { ...terminated(life.exit), startedAt } };
    return { ...status, ready: false, state: { waiting: { reason, message: reason } }, lastState: ended };
  }

  #waiting(): { reason: string; message: string } {
    const reason = this.#deps.imagesCanBePulled() ? 'ContainerCreating' : 'ImagePullBackOff';
    return { reason, message: reason };
  }

  #supervisorStatus(): ContainerStatus {
    const { supervisor } = this;
    const status = { name: 'supervisor', image: '', imageID: '', restartCount: 0 };
    if (supervisor === undefined) return { ...status, ready: false, state: { waiting: { reason: 'PodInitializing' } } };
    const startedAt = wholeSeconds(supervisor.startedAt);
    if (supervisor.exit === undefined) return { ...status, ready: true, state: { running: { startedAt } } };
    const { at, exitCode, message } = supervisor.exit;
    const exit = terminated({ at, exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' });
    return {
      ...status,
      ready: false,
      state: { terminated: { ...exit, startedAt, ...(message !== undefined && { message }) } },
    };
  }
}

function terminated({ at, exitCode, reason }: Exit) {
  return { exitCode, reason, finishedAt: wholeSeconds(at) };
}
