import type { Session } from '../api/session.ts';
import { isFinished } from '../api/session-phase.ts';

/** A session whose log is followed, as one program sees it. */
export interface FollowedSession<Line> {
  /** The Session as soon as this holds of it. One that is gone is over. */
  when: (holds: (session: Session) => boolean) => Promise<Session>;
  /** What the agent in the pod of this Session writes, until its container ends. */
  read: (session: Session) => AsyncIterable<Line>;
  /** Whether that failed because there is no log: the container has not begun, or the pod is gone. */
  hasNoLog: (error: unknown) => boolean;
}

/**
 * What the agent of a session writes until the session is over: of one pod after the other, where it is given another. A pod and its
 * container are waited for.
 *
 * @throws what `read` throws; that there is no log only where the session is over and nothing of its last pod was read
 */
export async function* followLog<Line>({ when, read, hasNoLog }: FollowedSession<Line>): AsyncGenerator<Line> {
  for (let pod: string | undefined; ;) {
    const before = pod;
    const next = await when((now) => isFinished(now) || ![undefined, before].includes(podOf(now)));
    pod = podOf(next);
    if (isFinished(next)) {
      if (pod === undefined || pod !== before) yield* read(next);
      return;
    }
    try {
      yield* read(next);
      continue;
    } catch (error) {
      if (!hasNoLog(error)) throw error;
    }
    // A cold start: its container has not begun. When the agent has been told of the session, or that has failed, it has.
    const begun = await when((now) => hasBegun(now) || podOf(now) !== pod);
    if (podOf(begun) !== pod) continue;
    try {
      yield* read(begun);
    } catch (error) {
      // A session that is not over may be given another pod.
      if (!hasNoLog(error) || isFinished(begun)) throw error;
    }
  }
}

/** A Session that is gone, as it was last: it is over. */
export function asOver(session: Session): Session {
  return { ...session, status: { ...session.status, phase: 'Ended' } };
}

function podOf({ status }: Session): string | undefined {
  return status?.podName;
}

function hasBegun(session: Session): boolean {
  return session.status?.startedAt !== undefined || isFinished(session);
}
