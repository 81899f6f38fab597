/**
 * The life of a pod of `protocol: Http`: its main container is the supervisor, and the agent is a native sidecar, as are the user's
 * other containers. What real kubelets do with it:
 *
 * - An agent that ends by itself is started again, after a second at first and then ever later, also when that ended the session and
 *   the pod is about to go.
 * - When the supervisor has ended, the agent gets TERM and its grace period. The pod is terminal when all have ended, and has then the
 *   outcome of the supervisor alone.
 * - When the pod is stopped, both get TERM, and neither is started again. The supervisor's end is reported with the agent's, not before.
 *
 * How the supervisor takes TERM, and when it ends by itself, is not decided here but by the real code: fake-supervisor.ts.
 */
import { supervisorContainer } from '../../src/api/names.ts';
import type { Readiness } from '../../src/supervisor/agent-client.ts';
import type { AgentMemory, Exit, FakedPod, PodMemory, PodScript, Run } from './fake-pod.ts';

/** From an agent's end by itself to its next start: the first time, then 10 s, doubled every time (pkg/kubelet/kubelet.go). */
const RESTART_MS = { first: 1_000, second: 10_000, longest: 300_000 };

export function isHttpPod(pod: FakedPod): boolean {
  return pod.spec.containers.some(({ name }) => name === supervisorContainer);
}

/** What a probe of the agent finds at this moment. */
export function agentReadiness({ agent }: PodMemory, script: PodScript, now: number): Readiness {
  if (agent === undefined || agent.end !== undefined) return 'unreachable';
  return now >= agent.startedAt + (script.readyDelayMs ?? 0) ? 'ready' : 'notReady';
}

/** How the supervisor ended, as far as the kubelet tells: when it stops the pod, not before all has stopped. */
export function visibleSupervisorEnd({ end, stop, supervisorEnd }: PodMemory): PodMemory['supervisorEnd'] {
  if (supervisorEnd === undefined || stop === undefined || end !== undefined) return supervisorEnd;
  return supervisorEnd.at < stop.at ? supervisorEnd : undefined;
}

/** Part of `advance`: changes the memory, and adds to `times` when it has to be asked again. */
export function advanceHttp(memory: PodMemory, pod: FakedPod, script: PodScript, now: number, times: number[]): void {
  if (memory.runningAt === undefined) {
    if (memory.stop !== undefined) memory.end = { code: 137, at: now, ran: false };
    return;
  }
  const before = memory.agent ?? { startedAt: memory.runningAt, restarts: 0 };
  const agent = ended(started(before, memory, now), memory, pod, script, now, times);
  memory.agent = agent;
  if (agent.end === undefined) {
    const readyAt = agent.startedAt + (script.readyDelayMs ?? 0);
    if (now < readyAt) times.push(readyAt);
    return;
  }
  delete memory.orderedExit;
  const restartAt = restartOf(agent, memory);
  if (restartAt !== undefined) times.push(restartAt);
  else if (memory.supervisorEnd !== undefined) memory.end = { ...memory.supervisorEnd, at: now, ran: true };
}

function started(agent: AgentMemory, memory: PodMemory, now: number): AgentMemory {
  const restartAt = restartOf(agent, memory);
  if (restartAt === undefined || now < restartAt) return agent;
  const { restarts, last: _, ...run } = agent;
  return { startedAt: now, restarts: restarts + 1, last: run };
}

/** When the agent is started again; undefined when it runs or will not run again. */
export function restartOf({ end, restarts }: AgentMemory, { stop, supervisorEnd }: PodMemory): number | undefined {
  if (end === undefined || end.told || stop !== undefined) return undefined;
  if (supervisorEnd !== undefined && end.at > supervisorEnd.at) return undefined;
  if (restarts === 0) return end.at + RESTART_MS.first;
  // Nobody waits for a crash loop once the session is over.
  if (supervisorEnd !== undefined) return undefined;
  return end.at + Math.min(RESTART_MS.second * 2 ** (restarts - 1), RESTART_MS.longest);
}

/** The agent's own end, or the one it was told to make, whichever is first. */
function ended(
  agent: AgentMemory,
  memory: PodMemory,
  pod: FakedPod,
  script: PodScript,
  now: number,
  times: number[],
): AgentMemory {
  if (agent.end !== undefined) return agent;
  const own = ownEnd(agent, memory, script, now);
  const told = toldEnd(agent, memory, pod, script);
  if (own !== undefined && own.at <= now && own.at <= (told?.at ?? now))
    return { ...agent, end: { ...own, told: false } };
  if (told !== undefined && told.at <= now) return { ...agent, end: { ...told, at: now, told: true } };
  times.push(...[own?.at, told?.at].filter((at) => at !== undefined));
  return agent;
}

function ownEnd(
  { startedAt }: Run,
  { orderedExit }: PodMemory,
  { exit: scripted }: PodScript,
  now: number,
): (Exit & { at: number }) | undefined {
  if (orderedExit !== undefined) return { at: now, ...orderedExit };
  if (scripted === undefined) return undefined;
  const { afterMs, ...exit } = scripted;
  // The script may have been changed meanwhile; an end is never in the past.
  return { ...exit, at: Math.max(startedAt + afterMs, now) };
}

function toldEnd(
  { startedAt }: Run,
  { stop, supervisorEnd }: PodMemory,
  pod: FakedPod,
  { stopMs = 0, stopExitCode = 143 }: PodScript,
): (Exit & { at: number }) | undefined {
  if (stop === undefined && supervisorEnd === undefined) return undefined;
  const graceMs = (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  const termAt = Math.max(startedAt, Math.min(stop?.at ?? Infinity, supervisorEnd?.at ?? Infinity));
  const killTimes = [
    ...(stop === undefined ? [] : [stop.at + stop.graceMs]),
    ...(supervisorEnd !== undefined && supervisorEnd.at < (stop?.at ?? Infinity) ? [termAt + graceMs] : []),
  ];
  const killAt = Math.min(...killTimes);
  return termAt + stopMs <= killAt ? { code: stopExitCode, at: termAt + stopMs } : { code: 137, at: killAt };
}
