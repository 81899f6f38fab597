/**
 * What a kubelet would do with one pod, as a pure function of time: `advance` moves the pod's life on, `statusOf` is the status that
 * a kubelet would report for it. The thin part that talks to an apiserver is fake-kubelet.ts.
 *
 * Only pods that are never restarted (`restartPolicy: Never`): all main containers start and end together; init containers with
 * `restartPolicy: Always` (sidecars) run as long as they do.
 */

/** How a pod behaves; every field may be left out. Times are milliseconds. */
export interface PodScript {
  /** false: the kubelet never acts on the pod, as if it were down. */
  acknowledge?: boolean;
  /** From the pod's binding to this node until its containers run. Default 0. */
  startDelayMs?: number;
  /** From running to ready. Default 0. */
  readyDelayMs?: number;
  /** Keeps the containers waiting with this reason, for example ImagePullBackOff, instead of starting them. */
  waiting?: { reason: string; message?: string };
  /** The containers end by themselves; without it they run until they are stopped. */
  exit?: { afterMs: number } & Exit;
  /** From TERM to the end; longer than the grace period means KILL (exit code 137). Default 0. */
  stopMs?: number;
  /** Exit code when stopped in time. Default 143. */
  stopExitCode?: number;
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

interface FakedContainer {
  name: string;
  image?: string;
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
  /** Ordered by a test: takes effect at once. */
  orderedExit?: Exit;
  orderedStop?: StopCause;
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

  if (memory.runningAt === undefined && memory.stop === undefined && script.waiting === undefined) {
    const startAt = memory.seenAt + (script.startDelayMs ?? 0);
    if (now >= startAt) memory.runningAt = now;
    else times.push(startAt);
  }
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
  return { memory, ...(times.length === 0 || memory.end !== undefined ? {} : { wakeAt: Math.min(...times) }) };
}

/** The kubelet's words (pkg/kubelet/active_deadline.go). */
const deadlineExceeded: StopCause = {
  reason: 'DeadlineExceeded',
  message: 'Pod was active on the node longer than the specified deadline',
};

function exitOf({ code, reason, message }: Exit): Exit {
  return { code, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}
