import type { Session, SessionSpec, SessionStatus } from '../../api/session.ts';
import { makeSession } from '../../api/testing/objects.ts';

/** The Session `call` in namespace `calls`, as a server would return it. */
export function callSession(status: SessionStatus = {}, spec: Partial<SessionSpec> = {}): Session {
  return makeSession('call', { status, spec, metadata: { namespace: 'calls' } });
}
