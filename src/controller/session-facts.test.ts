import { describe, expect, it } from 'vitest';
import { sessionProcessExit, sessionStartedAt, usageSince } from './session-facts.ts';
import { endedNow, makeHttpPod, recordOf, runningNow } from './testing/http-objects.ts';
import { at, boundStatus, EPOCH, makePod, makeSession, running, terminated } from './testing/objects.ts';

const session = makeSession('a', { status: boundStatus(makeSession('a')) });
const told = EPOCH + 5_400;
const TOLD = '2026-01-01T00:00:05.400Z';

describe('when a session began', () => {
  it('is what its supervisor answered', () => {
    const pod = makeHttpPod(session, { agent: runningNow(1) });
    expect(sessionStartedAt(session, pod, { sent: true, startedAt: told })).toBe(TOLD);
  });

  it('is not when its agent started: that waits for it', () => {
    const pod = makeHttpPod(session, { agent: runningNow(1) });
    expect(sessionStartedAt(session, pod, { sent: true })).toBeUndefined();
  });

  it('is what the supervisor wrote down, when nobody was there to hear the answer', () => {
    const pod = makeHttpPod(session, { supervisor: endedNow(2, 11, 0, recordOf({ outcome: 'Completed' })) });
    expect(sessionStartedAt(session, pod)).toBe(TOLD);
    expect(sessionStartedAt(undefined, pod)).toBe(TOLD);
  });

  it('is what the Session says, to a process that only takes over', () => {
    const begun = makeSession('a', { status: boundStatus(session, { phase: 'Running', startedAt: TOLD }) });
    expect(sessionStartedAt(begun, makeHttpPod(begun))).toBe(TOLD);
  });

  it('is when its container started, with protocol Process', () => {
    expect(sessionStartedAt(session, makePod(session, { status: running(at(5)) }))).toBe(at(5));
  });
});

describe('the end of what ran a session', () => {
  it('is that of the supervisor, while the agent says goodbye, and not that of the agent, which is started again', () => {
    const goodbye = makeHttpPod(session, { supervisor: endedNow(2, 11, 0), agent: runningNow(1) });
    expect(sessionProcessExit(goodbye)).toMatchObject({ exitCode: 0 });
    const crashed = makeHttpPod(session, { supervisor: runningNow(2), agent: endedNow(1, 9, 1) });
    expect(sessionProcessExit(crashed)).toBeUndefined();
  });

  it('is that of the agent, with protocol Process', () => {
    const pod = makePod(session, { status: terminated('Failed', { exitCode: 7 }) });
    expect(sessionProcessExit(pod)).toMatchObject({ exitCode: 7 });
  });
});

describe('what a session is charged for', () => {
  it('begins when its node takes a pod that was made for it', () => {
    expect(usageSince(makeHttpPod(session), TOLD)).toBe(at(1));
  });

  it('begins with the session on a pod that had waited', () => {
    expect(usageSince(makeHttpPod(session, { startKind: 'Warm' }), TOLD)).toBe(TOLD);
  });

  it('begins with the claim where that pod never said when', () => {
    expect(usageSince(makeHttpPod(session, { startKind: 'Warm' }), undefined)).toBe(new Date(EPOCH).toISOString());
  });

  it('is nothing where no node took the pod, and unknown without a pod', () => {
    const status = { startTime: undefined } as never;
    expect(usageSince(makeHttpPod(session, { status }), undefined)).toBeNull();
    expect(usageSince(undefined, TOLD)).toBeUndefined();
  });
});
