/**
 * What a kubelet would do with one pod, as a pure function of time: `advance` moves the pod's life on, `statusOf` is the status that
 * a kubelet would report for it. The thin part that talks to an apiserver is fake-kubelet.ts.
 *
 * Only pods that are never restarted (`restartPolicy: Never`): all main containers start and end together; init containers with
 * `restartPolicy: Always` (sidecars) run as long as they do. Pods of `protocol: Http` are different: fake-http-pod.ts.
 */
import { advanceHttp, isHttpPod } from './fake-http-pod.ts';

/** How a pod behaves; every field may be left out. Times are milliseconds. */
export interface PodScript {
  /** false: the kubelet never acts on the pod, as if it were down. */
  acknowledge?: boolean;
  /** The kubelet reports nothing of a pod before it has started it: one status fewer, as kwok does. */
  quiet?: boolean;
  /** From the pod's binding to this node until its containers run. Default 0. */
  startDelayMs?: number;
  /** From running to ready. Default 0. With protocol Http: of the agent, every time that it starts. */
  readyDelayMs?: number;
  /** Keeps the containers (Http: the agent) waiting with this reason, for example ImagePullBackOff, instead of starting them. */
  waiting?: { reason: string; message?: string };
  /** The containers end by themselves; without it they run until they are stopped. Http: the agent, every time that it starts. */
  exit?: { afterMs: number } & Exit;
  /** From TERM to the end; longer than the grace period means KILL (exit code 137). Default 0. */
  stopMs?: number;
  /** Exit code when stopped in time. Default 143. */
  stopExitCode?: number;
  /** Http: what the agent does with `POST /bot`; without it the call stays open until the agent ends. */
  bot?: BotScript;
  /** Http: what is wrong between the supervisor and who calls it. */
  supervisor?: 'unreachable' | SupervisorFaults;
}

export interface BotScript {
  /** From `POST /bot` to its end. Default 0. */
  afterMs?: number;
  /** What it answers then. Default 200. */
  status?: number;
  /** The agent's container ends instead of answering. */
  crash?: Exit;
}

export interface SupervisorFaults {
  /** So many times `PUT /session` is carried out and the connection then broken instead of answered. */
  dropReplies?: number;
  /** `PUT /session` is carried out at once and answered so much later. */
  delayMs?: number;
}

export interface Exit {
  code: number;
  /** Of the terminated container; default Completed or Error, by the code. `OOMKilled` for out of memory. */
  reason?: string;
  /** Its termination message. */
  message?: string;
}

/** The part of a Pod object that matters here. */
export interface FakedPod {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
    deletionGracePeriodSeconds?: number;
  };
  spec: {
    nodeName?: string;
    activeDeadlineSeconds?: number;
    terminationGracePeriodSeconds?: number;
    containers: FakedContainer[];
    initContainers?: (FakedContainer & { restartPolicy?: string })[];
  };
  status?: { phase?: string; startTime?: string; [field: string]: unknown };
}

export interface FakedContainer {
  name: string;
  image?: string;
  env?: { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }[];
}

/** Why the kubelet stops a pod: reason and message of its status; undefined when the pod is being deleted. */
export interface StopCause {
  reason: string;
  message: string;
}

/** What the kubelet remembers of a pod. Times are wall-clock milliseconds. */
export interface PodMemory {
  seenAt: number;
  /** `status.startTime`: whole seconds. */
  startTime: number;
  runningAt?: number;
  stop?: { at: number; graceMs: number; cause?: StopCause };
  end?: Exit & { at: number; ran: boolean };
  /** Ordered by a test, or done by the agent of a pod of protocol Http: takes effect at once. */
  orderedExit?: Exit & { at?: number };
  orderedStop?: StopCause;
  /** Http: the agent's container. */
  agent?: AgentMemory;
  /** Http: when the supervisor got its session. */
  boundAt?: number;
  /** Http: how the supervisor ended. */
  supervisorEnd?: Exit & { at: number };
}

/** One run of a container. */
export interface Run {
  startedAt: number;
  /** `told`: it was sent TERM. */
  end?: Exit & { at: number; told: boolean };
}

/** The container of an agent, which is started again when it ends by itself. */
export interface AgentMemory extends Run {
  restarts: number;
  /** The run before this one. */
  last?: Run;
}

export interface Advance {
  memory: PodMemory;
  /** When to look again although nothing else happens. */
  wakeAt?: number;
}

/** Moves a pod's life on to `now`. */
export function advance(before: PodMemory | undefined, pod: FakedPod, script: PodScript, now: number): Advance {
  const memory: PodMemory = { ...(before ?? { seenAt: now, startTime: Math.floor(now / 1000) * 1000 }) };
  if (memory.end !== undefined) return { memory };
  const times: number[] = [];

  noticeStop(memory, pod, now, times);
  if (memory.runningAt === undefined && memory.stop === undefined && script.waiting === undefined) {
    const startAt = memory.seenAt + (script.startDelayMs ?? 0);
    if (now >= startAt) memory.runningAt = now;
    else times.push(startAt);
  }
  (isHttpPod(pod) ? advanceHttp : advancePlain)(memory, pod, script, now, times);
  return { memory, ...(times.length === 0 || memory.end !== undefined ? {} : { wakeAt: Math.min(...times) }) };
}

/** The parts of `advance` change the memory, and add to `times` when they have to be asked again. */
function noticeStop(memory: PodMemory, pod: FakedPod, now: number, times: number[]): void {
  const deadline = pod.spec.activeDeadlineSeconds;
  const deadlineAt = deadline === undefined ? undefined : memory.startTime + deadline * 1000;
  const grace = (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  if (memory.stop === undefined && memory.orderedStop !== undefined) {
    memory.stop = { at: now, graceMs: grace, cause: memory.orderedStop };
  }
  if (memory.stop === undefined && deadlineAt !== undefined) {
    if (now >= deadlineAt) memory.stop = { at: now, graceMs: grace, cause: deadlineExceeded };
    else times.push(deadlineAt);
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
    memory.stop ??= { at: now, graceMs };
    // A second deletion may shorten the grace period, never lengthen it.
    memory.stop = { ...memory.stop, graceMs: Math.min(memory.stop.graceMs, graceMs) };
  }
}

function advancePlain(memory: PodMemory, _pod: FakedPod, script: PodScript, now: number, times: number[]): void {
  if (memory.runningAt !== undefined) {
    const readyAt = memory.runningAt + (script.readyDelayMs ?? 0);
    if (now < readyAt) times.push(readyAt);
    const exit = memory.orderedExit ?? script.exit;
    const exitAt = memory.orderedExit === undefined ? memory.runningAt + (script.exit?.afterMs ?? 0) : now;
    if (exit !== undefined && now >= exitAt) memory.end = { ...exitOf(exit), at: now, ran: true };
    else if (exit !== undefined) times.push(exitAt);
  }
  if (memory.stop !== undefined && memory.end === undefined) {
    const needs = memory.runningAt === undefined ? 0 : (script.stopMs ?? 0);
    const endAt = memory.stop.at + Math.min(needs, memory.stop.graceMs);
    const killed = needs > memory.stop.graceMs;
    const code = killed ? 137 : (script.stopExitCode ?? 143);
    if (now >= endAt) memory.end = { code, at: now, ran: memory.runningAt !== undefined };
    else times.push(endAt);
  }
}

/** The kubelet's words (pkg/kubelet/active_deadline.go). */
const deadlineExceeded: StopCause = {
  reason: 'DeadlineExceeded',
  message: 'Pod was active on the node longer than the specified deadline',
};

function exitOf({ code, reason, message }: Exit): Exit {
  return { code, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}
