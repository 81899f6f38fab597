import type { Session } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding } from '../pods/binding.ts';
import { failedInitContainer, isReady } from '../pods/pod-facts.ts';
import { isHttp, sessionRecord, supervisorRan } from '../pods/session-record.ts';
import type { TerminationMessage } from '../supervisor/wire.ts';
import type { Delivery } from './session-facts.ts';

/** Pods that a Session may have in all. */
const MAX_PODS = 4;

/** A pod that says that it is ready, and does not take a connection for so long, is given up. */
export const UNREACHABLE_MS = 4_000;

/** Which try this Session is at, from 0. Pods of earlier tries are spent: they have not been told anything, and never will be. */
export function attemptOf(session: Session | undefined): number {
  return session?.status?.attempt ?? 0;
}

export function isSpent(session: Session, pod: Pod): boolean {
  return isBefore(attemptOf(session), pod);
}

/** The pods of earlier tries than the latest one. Without its Session, the pods alone tell which that is. */
export function spentPods(session: Session | undefined, pods: readonly Pod[]): Pod[] {
  const attempt = session === undefined ? Math.max(0, ...pods.map(attemptOfPod)) : attemptOf(session);
  return pods.filter((pod) => isBefore(attempt, pod));
}

function isBefore(attempt: number, pod: Pod): boolean {
  return attempt > 0 && attemptOfPod(pod) < attempt;
}

function attemptOfPod(pod: Pod): number {
  return readBinding(pod)?.attempt ?? 0;
}

/**
 * Whether a Session may get another pod: this one is of no use, and its agent has surely been told nothing. Running a session twice
 * is worse than losing it, so a doubt is a no.
 */
export function mayRetry(session: Session, pod: Pod, over: boolean, delivery: Delivery | undefined): boolean {
  if (!isHttp(pod) || attemptOf(session) + 1 >= MAX_PODS || session.status?.startedAt !== undefined) return false;
  const record = sessionRecord(pod);
  // Its supervisor's word stands, also while the agent may still be ending.
  if (record !== undefined) return !record.delivered && !nobodyCame(session, record);
  if (over) return isUndelivered(pod, delivery);
  if (delivery?.sent !== false || !isReady(pod)) return false;
  return delivery.expired === true || (delivery.unreachableForMs ?? 0) >= UNREACHABLE_MS;
}

/** Another pod does not bring the caller of a WebSocket, who has had all the time there is. */
function nobodyCame({ spec }: Session, { outcome }: TerminationMessage): boolean {
  return spec.transport === 'WebSocket' && outcome === 'NeverReady';
}

/**
 * Of a pod that has left no record: this process, which alone may have told it, has not sent a byte; or nobody ever could, because the
 * pod has never had an address. Not where an init container of the user's failed: it would fail again.
 */
function isUndelivered(pod: Pod, delivery: Delivery | undefined): boolean {
  if (failedInitContainer(pod) !== undefined && !supervisorRan(pod)) return false;
  return delivery === undefined ? pod.status?.podIP === undefined : !delivery.sent;
}
