import { apiVersion } from '../../api/names.ts';
import type { Session, SessionSpec, SessionStatus } from '../../api/session.ts';

/** The Session `call` in namespace `calls`, as a server would return it. */
export function callSession(status: SessionStatus = {}, spec: Partial<SessionSpec> = {}): Session {
  return {
    apiVersion,
    kind: 'Session',
    metadata: {
      name: 'call',
      namespace: 'calls',
      uid: 'uid-of-call',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { agent: 'echo', ...spec },
    status,
  };
}
