import { describe, expect, it } from 'vitest';
import type { SessionReason } from '../../api/reasons.ts';
import type { Session, SessionSpec, SessionStatus } from '../../api/session.ts';
import { makeSession } from '../../api/testing/objects.ts';
import { deploymentId } from '../agents/deployment-id.ts';
import { sessionDetails, sessionView, viewSession, viewSessionDetails } from './session-view.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const CREATED = '2026-01-01T00:00:00Z';
const STARTED = '2026-01-01T00:00:02.400Z';
const ENDED = '2026-01-01T00:01:00Z';

const session = (status: SessionStatus, spec: Partial<SessionSpec> = {}): Session => makeSession(ID, { status, spec });
const view = (status: SessionStatus, spec: Partial<SessionSpec> = {}) =>
  sessionView.parse(viewSession(session(status, spec), 'service'));

describe('a session in a list', () => {
  it('that waits has the members that the official client reads, and null where nothing is known', () => {
    expect(view({ phase: 'Pending' })).toEqual({
      sessionId: ID,
      serviceId: 'service',
      organizationId: 'team-a',
      createdAt: CREATED,
      updatedAt: CREATED,
      endedAt: null,
      botStartSeconds: null,
      coldStart: null,
      completionStatus: null,
      endState: 'active',
    });
  });

  it('that runs says how it was started, how long that took, and of which deployment its pod is', () => {
    expect(view({ phase: 'Running', startKind: 'Warm', startedAt: STARTED, revision: 'r1' })).toMatchObject({
      deploymentId: deploymentId('team-a', 'echo', 'r1'),
      updatedAt: STARTED,
      botStartSeconds: 2,
      coldStart: false,
      completionStatus: null,
      endState: 'active',
    });
    expect(view({ phase: 'Starting', startKind: 'Cold' })).toMatchObject({ coldStart: true, botStartSeconds: null });
  });

  it.each([
    ['Completed', 'HTTP_COMPLETED', 'completed'],
    ['Failed', 'HTTP_ERROR', 'agent_error'],
    ['StartTimeout', 'BOT_CONNECTION_TIMEOUT', 'agent_start_timeout'],
    ['Stopped', 'Stopped', 'terminated'],
    ['DeadlineExceeded', 'DeadlineExceeded', 'session_timeout'],
    ['OutOfMemory', 'OutOfMemory', 'out_of_memory'],
    ['Lost', 'Lost', 'lost'],
    ['SomethingNew', 'SomethingNew', 'unknown'],
  ])('that ended as %s has the status %s and the state %s', (reason, completionStatus, endState) => {
    const ended = view({ phase: 'Ended', reason: reason as SessionReason, startedAt: STARTED, endedAt: ENDED });
    expect(ended).toMatchObject({ endedAt: ENDED, updatedAt: ENDED, completionStatus, endState, reason });
  });

  it('that was a WebSocket ended when that was closed', () => {
    const ended: SessionStatus = { phase: 'Ended', reason: 'Completed', endedAt: ENDED };
    expect(view(ended, { transport: 'WebSocket' }).completionStatus).toBe('WS_CONNECTION_CLOSED');
  });

  it('that never came to its agent ended before', () => {
    const before = { endState: 'ended_before_agent_start', endedAt: ENDED };
    expect(view({ phase: 'Rejected', reason: 'AtCapacity', endedAt: ENDED })).toMatchObject(before);
    expect(view({ phase: 'Ended', reason: 'Stopped', endedAt: ENDED })).toMatchObject(before);
  });
});

describe('a session in full', () => {
  it('has its milestones, with their times', () => {
    const status: SessionStatus = {
      phase: 'Ended',
      reason: 'DeadlineExceeded',
      message: 'the session reached its maximum duration',
      startedAt: STARTED,
      endedAt: ENDED,
      podName: 'pod',
      nodeName: 'node',
      usageSeconds: 58,
    };
    expect(sessionDetails.parse(viewSessionDetails(session(status), undefined))).toMatchObject({
      resourceMetrics: null,
      meetingIds: [],
      events: [
        { eventCode: 'SESSION_START_INITIATED', eventTs: CREATED },
        { eventCode: 'REQUEST_ARRIVED_AT_BOT', eventTs: STARTED },
        { eventCode: 'SESSION_TIMEOUT', eventTs: ENDED },
      ],
      agent: 'echo',
      phase: 'Ended',
      podName: 'pod',
      nodeName: 'node',
      usageSeconds: 58,
    });
    const completed = viewSessionDetails(session({ ...status, reason: 'Completed' }), undefined);
    expect(completed.events.at(-1)?.eventCode).toBe('SESSION_COMPLETED');
    expect(viewSessionDetails(session({ phase: 'Pending' }), undefined).events).toHaveLength(1);
  });
});
