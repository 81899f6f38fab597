import type { Session } from './session.ts';

/** Ended and Rejected are final: such a Session is never planned for again, only forgotten. */
export function isFinished(session: Session): boolean {
  return session.status?.phase === 'Ended' || session.status?.phase === 'Rejected';
}

/** Admitted and not over: it holds one of its Agent's places. */
export function isActive(session: Session): boolean {
  const phase = session.status?.phase;
  return phase === 'Starting' || phase === 'Running' || phase === 'Stopping';
}
