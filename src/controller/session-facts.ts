import type { Session } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding } from '../pods/binding.ts';
import { agentStartedAt, agentTerminated, type Terminated } from '../pods/pod-facts.ts';
import { isHttp, sessionRecord, supervisorTerminated } from '../pods/session-record.ts';

/** What is known of handing a Session to the supervisor of its pod. Only the process that hands it over knows; another asks anew. */
export interface Delivery {
  /** When the supervisor began the session, by the pod's clock; Unix milliseconds. */
  startedAt?: number;
  /** Whether a byte of it may have reached the pod. */
  sent: boolean;
  /** Since when there has been no connection; monotonic milliseconds ago. */
  unreachableForMs?: number;
  /** Another leader may have told it, and it has not answered this one yet. */
  unasked?: true;
  /** This pod has had all the time that it may have. */
  expired?: true;
  /** How long ago the supervisor was asked to end the session, in milliseconds. */
  stopAskedMsAgo?: number;
  /** What is in the way, for people. */
  problem?: string;
}

/** When the session began; undefined while it has not. */
export function sessionStartedAt(session: Session | undefined, pod: Pod, delivery?: Delivery): string | undefined {
  if (!isHttp(pod)) return agentStartedAt(pod);
  const startedAt = delivery?.startedAt ?? sessionRecord(pod)?.startedAt;
  return startedAt === undefined ? session?.status?.startedAt : new Date(startedAt).toISOString();
}

/** How what ran the session ended; other containers of the pod may still be ending. */
export function sessionProcessExit(pod: Pod): Terminated | undefined {
  return isHttp(pod) ? supervisorTerminated(pod) : agentTerminated(pod);
}

/**
 * Since when the session uses its pod, by the node's clock: since the node took it, or, where the pod had waited, since the session
 * began. Null: no node ever took it. Undefined: there is no pod to tell.
 */
export function usageSince(pod: Pod | undefined, startedAt: string | undefined): string | null | undefined {
  if (pod === undefined) return undefined;
  const binding = readBinding(pod);
  // A warm pod whose supervisor died without a word: by another clock, when it was claimed.
  if (binding?.startKind === 'Warm') return startedAt ?? binding.admittedAt ?? null;
  return pod.status?.startTime ?? null;
}
