import type { Clock } from '../../src/kube/clock.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { isTerminal } from '../../src/pods/pod-facts.ts';
import { isHttp } from '../../src/pods/session-record.ts';
import { isPodCommit, type ApiServer } from './api-server.ts';
import { wholeSeconds } from './deletion.ts';
import type { HttpWorld } from './http-pod.ts';
import { DEADLINE_EXCEEDED, HttpPods } from './http-pods.ts';

/** What the agent of a session does, as if its image had been made for it. */
export interface Workload {
  /** From the node's acceptance of the pod to the start of the container. */
  startMs: number;
  /** How long it runs by itself; null: until it is told to stop. */
  runMs: number | null;
  exitCode: number;
  /** How long after TERM it ends; null: it has to be killed. */
  goodbyeMs: number | null;
  /** With protocol Http: its server does not answer at the end, but dies. */
  crashes?: boolean;
}

/** A container as it is on the node, whether anybody can tell or not. */
interface Container {
  acceptedAt: number;
  workload: Workload;
  startedAt?: number;
  term?: { at: number; graceMs: number; because: 'deadline' | 'deletion' };
  /** Ended by force from outside. */
  struck?: { at: number; exitCode: number; reason: string };
  reportedEnd?: boolean;
}

export interface KubeletDeps {
  server: ApiServer;
  clock: Clock;
  node: string;
  /** How far the node's clock is ahead. */
  skewMs: number;
  /** From a change of a pod to the kubelet's reaction. */
  lagMs: number;
  /** The container's end and the pod's terminal phase come in two updates. */
  endsInTwoSteps: boolean;
  workloadOf: (pod: Pod) => Workload;
  imagesCanBePulled: () => boolean;
  http: HttpWorld;
}

/** The kubelet of one node: runs pods, keeps their deadline, ends them when told to, and tells. */
export class Kubelet {
  /** When the agents of pods were told to end, by the pod's uid; world time. */
  readonly toldToEnd = new Map<string, number>();
  readonly #deps: KubeletDeps;
  readonly #containers = new Map<string, Container>();
  readonly #http: HttpPods;
  #works = true;

  constructor(deps: KubeletDeps) {
    this.#deps = deps;
    this.#http = new HttpPods({
      ...deps,
      world: deps.http,
      report: (pod, changes) => this.#report(pod, changes),
      soon: (pod, ms) => this.#soon(pod, ms ?? deps.lagMs),
    });
    deps.server.subscribe((commit) => {
      if (isPodCommit(commit) && commit.object.spec.nodeName === deps.node) this.#soon(commit.object, deps.lagMs);
    });
  }

  /** The kubelet is down; what runs, runs on, and nobody tells. */
  stop(): void {
    this.#works = false;
  }

  start(): void {
    this.#works = true;
    const there = new Set(this.#deps.server.list(pods).map(({ metadata }) => metadata.uid));
    for (const uid of this.#http.uids()) if (!there.has(uid)) this.#http.remove(uid);
    this.syncAll();
  }

  syncAll(): void {
    for (const pod of this.#deps.server.list(pods)) if (pod.spec.nodeName === this.#deps.node) this.#soon(pod, 1);
  }

  /** Something kills the agent of this pod: the kernel, or whoever removes its sandbox. */
  strike(pod: Pod, exitCode: number, reason: string): void {
    const http = this.#http.get(pod);
    if (http !== undefined && reason === 'OOMKilled') http.agent.end(exitCode, reason);
    else http?.terminate('sandbox', (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000);
    const container = this.#containers.get(pod.metadata.uid);
    if (container?.startedAt === undefined || container.struck !== undefined) return;
    if (this.#endOf(container, this.#now()) !== undefined) return;
    container.struck = { at: this.#now(), exitCode, reason };
    this.#soon(pod, 1);
  }

  /** The node gets rid of a pod, at once. */
  evict(pod: Pod): void {
    this.#http.get(pod)?.kill();
    this.strike(pod, 137, 'Error');
  }

  /** Something goes wrong in a pod of protocol Http. */
  strikeServer(pod: Pod, how: 'supervisorKilled' | 'agentCrashed'): void {
    const http = this.#http.get(pod);
    if (how === 'supervisorKilled') http?.supervisor?.kill();
    else http?.agent.end(1, 'Error');
  }

  #now(): number {
    return this.#deps.clock.now() + this.#deps.skewMs;
  }

  #soon(pod: Pod, ms: number): void {
    this.#deps.clock.setTimeout(() => this.#sync(pod), Math.max(1, ms));
  }

  #sync(seen: Pod): void {
    if (!this.#works) return;
    const pod = this.#deps.server.find(pods, seen.metadata);
    if (pod?.metadata.uid !== seen.metadata.uid) {
      this.#containers.delete(seen.metadata.uid); // it was deleted: what runs is killed
      this.#http.remove(seen.metadata.uid);
      return;
    }
    if (isTerminal(pod)) {
      this.#http.remove(pod.metadata.uid);
      this.#finishDeletion(pod);
      return;
    }
    if (isHttp(pod)) {
      this.#http.sync(pod);
      return;
    }
    const container = this.#containers.get(pod.metadata.uid) ?? this.#accept(pod);
    const now = this.#now();
    this.#decideToTerminate(pod, container, now);
    const started = container.startedAt !== undefined;
    if (!started && container.term !== undefined) {
      this.#report(pod, this.#neverStarted(container));
      return;
    }
    if (!started && this.#deps.imagesCanBePulled() && now >= container.acceptedAt + container.workload.startMs)
      container.startedAt = now;
    this.#report(pod, this.#statusOf(pod, container, now));
    this.#wakeFor(pod, container, now);
  }

  #accept(pod: Pod): Container {
    const container: Container = { acceptedAt: this.#now(), workload: this.#deps.workloadOf(pod) };
    this.#containers.set(pod.metadata.uid, container);
    if (pod.status.startTime === undefined)
      this.#report(pod, { startTime: wholeSeconds(container.acceptedAt), phase: 'Pending' });
    return container;
  }

  #decideToTerminate(pod: Pod, container: Container, now: number): void {
    const { deletionTimestamp, deletionGracePeriodSeconds = 0, uid } = pod.metadata;
    const isDeleted = deletionTimestamp !== undefined;
    if (!isDeleted && now < this.#deadlineOf(pod, container)) return;
    const grace = isDeleted ? deletionGracePeriodSeconds : (pod.spec.terminationGracePeriodSeconds ?? 30);
    container.term ??= { at: now, graceMs: grace * 1000, because: isDeleted ? 'deletion' : 'deadline' };
    if (isDeleted) container.term.graceMs = Math.min(container.term.graceMs, grace * 1000);
    if (!this.toldToEnd.has(uid)) this.toldToEnd.set(uid, this.#deps.clock.now());
  }

  /** Counted from `status.startTime`, which is a whole second. */
  #deadlineOf(pod: Pod, container: Container): number {
    const seconds = pod.spec.activeDeadlineSeconds;
    if (seconds === undefined) return Infinity;
    return Math.floor(container.acceptedAt / 1000) * 1000 + seconds * 1000;
  }

  /** When and how the container ended, if it has by now. */
  #endOf({ startedAt, workload, term, struck }: Container, now: number) {
    if (startedAt === undefined) return undefined;
    const ends: { at: number; exitCode: number; reason: string }[] = [];
    const reason = workload.exitCode === 0 ? 'Completed' : 'Error';
    if (workload.runMs !== null) ends.push({ at: startedAt + workload.runMs, exitCode: workload.exitCode, reason });
    if (struck !== undefined) ends.push(struck);
    if (term !== undefined) {
      if (workload.goodbyeMs !== null)
        ends.push({ at: term.at + workload.goodbyeMs, exitCode: 0, reason: 'Completed' });
      ends.push({ at: term.at + term.graceMs, exitCode: 137, reason: 'Error' });
    }
    const [first] = ends.sort((a, b) => a.at - b.at);
    return first !== undefined && first.at <= now ? first : undefined;
  }

  #statusOf(pod: Pod, container: Container, now: number): Partial<Pod['status']> {
    if (container.startedAt === undefined) {
      const reason = this.#deps.imagesCanBePulled() ? 'ContainerCreating' : 'ImagePullBackOff';
      return { phase: 'Pending', containerStatuses: [agentStatus({ waiting: { reason, message: reason } })] };
    }
    const startedAt = wholeSeconds(container.startedAt);
    const end = this.#endOf(container, now);
    if (end === undefined) {
      return { phase: 'Running', containerStatuses: [agentStatus({ running: { startedAt } })] };
    }
    const { exitCode, reason } = end;
    const terminated = { exitCode, reason, startedAt, finishedAt: wholeSeconds(end.at) };
    const containerStatuses = [agentStatus({ terminated })];
    if (this.#deps.endsInTwoSteps && container.reportedEnd !== true) {
      container.reportedEnd = true;
      return { phase: 'Running', containerStatuses };
    }
    if (container.term?.because === 'deadline' && end.at >= container.term.at)
      return { phase: 'Failed', ...DEADLINE_EXCEEDED, containerStatuses };
    return { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses };
  }

  #neverStarted(container: Container): Partial<Pod['status']> {
    const why = container.term?.because === 'deadline' ? DEADLINE_EXCEEDED : {};
    const containerStatuses = [agentStatus({ waiting: { reason: 'ContainerCreating' } })];
    return { phase: 'Failed', ...why, containerStatuses };
  }

  #report(pod: Pod, changes: Partial<Pod['status']>): void {
    this.#deps.server.force(pods, pod, (now) => ({ ...now, status: { ...now.status, ...changes } }), this.#deps.node);
  }

  #finishDeletion(pod: Pod): void {
    if (pod.metadata.deletionTimestamp === undefined || pod.metadata.deletionGracePeriodSeconds === 0) return;
    const { uid } = pod.metadata;
    this.#deps.server.delete(pods, pod.metadata, { uid, gracePeriodSeconds: 0, by: this.#deps.node });
  }

  /** Looks again when only time changes something. */
  #wakeFor(pod: Pod, container: Container, now: number): void {
    const { acceptedAt, startedAt, workload, term } = container;
    const times = [this.#deadlineOf(pod, container)];
    if (startedAt === undefined) times.push(acceptedAt + workload.startMs);
    else if (workload.runMs !== null) times.push(startedAt + workload.runMs);
    if (term !== undefined) times.push(term.at + Math.min(term.graceMs, workload.goodbyeMs ?? Infinity));
    const next = Math.min(...times.filter((time) => time > now));
    if (Number.isFinite(next)) this.#soon(pod, next - now);
  }
}

type ContainerStatus = NonNullable<Pod['status']['containerStatuses']>[number];

function agentStatus(state: NonNullable<ContainerStatus['state']>): ContainerStatus {
  return { name: 'agent', image: '', imageID: '', ready: state.running !== undefined, restartCount: 0, state };
}
