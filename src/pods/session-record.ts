import { supervisorContainer } from '../api/names.ts';
import type { Pod } from '../kube/objects.ts';
import { terminationMessage, type TerminationMessage } from '../supervisor/wire.ts';
import { agentStatus, type ContainerStatus, type Terminated } from './pod-facts.ts';

/** Whether a pod is of `protocol: Http`: it has a supervisor, which no pod template may name a container after. */
export function isHttp(pod: Pod): boolean {
  return pod.spec?.containers?.some(({ name }) => name === supervisorContainer) ?? false;
}

function supervisorStatus(pod: Pod): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === supervisorContainer);
}

/** How the supervisor ended. The session is over then, while the agent may still say goodbye. */
export function supervisorTerminated(pod: Pod): Terminated | undefined {
  return supervisorStatus(pod)?.state?.terminated;
}

/** Whether the supervisor ever ran: a session can have reached no other pod. */
export function supervisorRan(pod: Pod): boolean {
  const { running, terminated } = supervisorStatus(pod)?.state ?? {};
  // A kubelet that has lost track of a container knows no time, and says so.
  const lost = terminated?.reason === 'ContainerStatusUnknown';
  return running !== undefined || lost || Date.parse(terminated?.startedAt ?? '') > 0;
}

/** What the supervisor wrote down when it ended; undefined when it could not, or was not the one who wrote. */
export function sessionRecord(pod: Pod): TerminationMessage | undefined {
  const text = supervisorTerminated(pod)?.message;
  if (text === undefined) return undefined;
  try {
    return terminationMessage.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** A container has ended about when its connections broke: its end is told in whole seconds, and may be told late. */
export const SAME_END_MS = 2_000;

/**
 * How the agent's container ended that had the session; undefined when it did not, or the kubelet no longer knows.
 *
 * The kubelet starts an agent again that has ended, also while the pod goes, and keeps the records of the last two runs. The session
 * was with the youngest run that had begun when the session did: both times are the node's clock, the former in whole seconds. Where
 * one run ended and the next began in the very second in which the session did, it was with the one that ended when the session did.
 */
export function boundAgentExit(pod: Pod, { startedAt, endedAt }: TerminationMessage): Terminated | undefined {
  const status = agentStatus(pod);
  if (status === undefined || startedAt === undefined) return undefined;
  const second = Math.floor(startedAt / 1000) * 1000;
  // The older run first: a container runs once at a time.
  const { lastState, state } = status;
  const runs = [
    ...[lastState?.terminated, state?.terminated].map((exit) => ({ startedAt: exit?.startedAt, exit })),
    { startedAt: state?.running?.startedAt, exit: undefined },
  ];
  const candidates = runs
    .map(({ startedAt: began, exit }) => ({
      began: Date.parse(began ?? ''),
      ended: exit === undefined ? Infinity : Date.parse(exit.finishedAt ?? ''),
      exit,
    }))
    .filter(({ began, ended }) => began <= startedAt && !(ended < second));
  // Of two that fit alike the second one ended because it was told to, when the session was over.
  const [fitting] = candidates
    .filter(({ ended }) => awayFrom(endedAt, ended) < SAME_END_MS)
    .sort((a, b) => awayFrom(endedAt, a.ended) - awayFrom(endedAt, b.ended));
  return (fitting ?? candidates.at(-1))?.exit;
}

/** How far a moment is from what the kubelet has cut to whole seconds, and so was at any time within that second. */
function awayFrom(moment: number, cut: number): number {
  return Math.max(cut - moment, moment - (cut + 999), 0);
}
