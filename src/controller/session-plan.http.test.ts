import { describe, expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { KUBELET_SLACK_MS } from './session-deadlines.ts';
import type { SessionView } from './session-ending.ts';
import type { Delivery } from './session-facts.ts';
import { planSession, type SessionPlan } from './session-plan.ts';
import { endedNow, makeHttpPod, recordOf, runningNow, waitingNow } from './testing/http-objects.ts';
import { at, boundStatus, EPOCH, LIMITS, makeSession } from './testing/objects.ts';

function plan(
  session: Session | undefined,
  pod: Pod | undefined,
  seconds: number,
  view: Partial<SessionView> = {},
): SessionPlan {
  return planSession({ session, pod, node: { state: 'answers' }, now: EPOCH + seconds * 1000, ...view });
}

/** The session as it is after its planned status was written. */
function after(session: Session, { status }: SessionPlan): Session {
  return status === undefined ? session : { ...session, status };
}

const TOLD = '2026-01-01T00:00:05.400Z';
const STARTED = { delivery: { sent: true, startedAt: Date.parse(TOLD) } };
const NOT_SENT = { delivery: { sent: false } };
const fresh = makeSession('a');
const starting = after(fresh, plan(fresh, makeHttpPod(fresh), 1));
const both = { agent: runningNow(1), supervisor: runningNow(2) };

/** A Session that the previous passes have brought to Running. */
const running = after(starting, plan(starting, makeHttpPod(fresh, both), 6, STARTED));

describe('a cold start', () => {
  it('waits for its pod, and delivers nothing where there is no address yet', () => {
    const pod = makeHttpPod(fresh, { phase: 'Pending', ready: false, status: { podIP: undefined } as never });
    const planned = plan(fresh, pod, 1);
    expect(planned).toMatchObject({ status: { phase: 'Starting', startKind: 'Cold', podUID: 'pod-uid-a' } });
    expect(planned.deliver).toBeUndefined();
  });

  it('delivers as soon as there is one, ready or not: the supervisor waits for the agent', () => {
    const pod = makeHttpPod(fresh, { ready: false, supervisor: runningNow(2) });
    expect(plan(fresh, pod, 3).deliver).toEqual({ startBy: EPOCH + 120_000 });
  });

  it('costs one write until it has begun, however slow it is', () => {
    const session = after(fresh, plan(fresh, makeHttpPod(fresh, { ready: false }), 1));
    const slow = makeHttpPod(session, { ready: false, agent: runningNow(1), supervisor: runningNow(2) });
    expect(plan(session, slow, 60, NOT_SENT).status).toBeUndefined();
    expect(plan(session, slow, 60, NOT_SENT).requeueAfterMs).toBe(62_000);
  });

  it('names a problem that somebody must solve', () => {
    const pod = makeHttpPod(starting, { ready: false, agent: waitingNow('ErrImagePull') });
    expect(plan(starting, pod, 3).status).toMatchObject({ phase: 'Starting', reason: 'ImagePullFailed' });
  });

  it('is not delivered after startBefore', () => {
    const session = makeSession('a', { spec: { startBefore: at(30) }, status: boundStatus(fresh) });
    expect(plan(session, makeHttpPod(session), 10).deliver).toEqual({ startBy: EPOCH + 30_000 });
    const late = plan(session, makeHttpPod(session), 30, { delivery: { sent: false } });
    expect(late.deliver).toBeUndefined();
    expect(late).toMatchObject({ deadlineSeconds: 1, status: { phase: 'Stopping', reason: 'StartTimeout' } });
  });
});

it('is asked about after its time by a leader that does not know whether it has begun', () => {
  const session = makeSession('a', { status: boundStatus(fresh) });
  for (const delivery of [undefined, { sent: true, unasked: true } as const])
    expect(plan(session, makeHttpPod(session), 500, { delivery })).toMatchObject({ deliver: {} });
  const asked = plan(session, makeHttpPod(session), 500, { delivery: { sent: true } });
  expect(asked).toMatchObject({ status: { phase: 'Stopping', reason: 'StartTimeout' } });
});

describe('a warm start', () => {
  const warm = makeHttpPod(fresh, { startKind: 'Warm', startWindowSeconds: 8, ...both });

  it('is delivered before anything is written', () => {
    const planned = plan(fresh, warm, 0.05);
    expect(planned).toEqual({ deliver: { startBy: EPOCH + 8_050 }, requeueAfterMs: 950 });
  });

  it('is written down when it takes a second', () => {
    expect(plan(fresh, warm, 0.999).status).toBeUndefined();
    expect(plan(fresh, warm, 1)).toMatchObject({
      deliver: {},
      status: { phase: 'Starting', startKind: 'Warm', podUID: 'pod-uid-a' },
    });
  });

  it('is Running by its first write, when it does not', () => {
    expect(plan(fresh, warm, 0.1, STARTED).status).toMatchObject({
      phase: 'Running',
      startKind: 'Warm',
      startedAt: TOLD,
      admittedAt: new Date(EPOCH).toISOString(),
    });
  });

  it('is written down at once when somebody is to open its WebSocket', () => {
    const webSocket = makeSession('a', { spec: { transport: 'WebSocket' } });
    const claimed = makeHttpPod(webSocket, { startKind: 'Warm', ...both });
    const planned = plan(webSocket, claimed, 0.05);
    expect(planned).toMatchObject({
      deliver: { startBy: EPOCH + 120_000 },
      status: { phase: 'Starting', startKind: 'Warm', podName: claimed.metadata.name, podUID: 'pod-uid-a' },
    });
    expect(plan(after(webSocket, planned), claimed, 1).status).toBeUndefined();
  });

  it('has the whole start timeout on a pod that was not ready when it was claimed', () => {
    const claimed = makeHttpPod(fresh, { startKind: 'Warm', ready: false });
    expect(plan(fresh, claimed, 0).deliver).toEqual({ startBy: EPOCH + 120_000 });
  });
});

describe('a session that has begun', () => {
  it('is Running since the agent was told, by the clock of the pod, and the supervisor keeps its limit', () => {
    const planned = plan(starting, makeHttpPod(starting, both), 6, STARTED);
    expect(planned.status).toMatchObject({ phase: 'Running', startedAt: TOLD });
    expect(planned.deadlineSeconds).toBeUndefined();
    expect(planned.deliver).toBeUndefined();
  });

  it('costs no second write, also under a process that only takes over', () => {
    for (const view of [STARTED, {}])
      expect(plan(running, makeHttpPod(running, both), 60, view)).toEqual({
        requeueAfterMs: expect.any(Number) as number,
      });
  });

  it('is not disturbed by an agent that is started again, or a pod that is no longer ready', () => {
    const again = { ...runningNow(50), restartCount: 1, lastState: endedNow(1, 49, 1).state };
    const pod = makeHttpPod(running, { ...both, agent: again, ready: false });
    expect(plan(running, pod, 60)).toEqual({ requeueAfterMs: expect.any(Number) as number });
  });
});

describe('a session that ends by itself', () => {
  const supervisor = endedNow(2, 20, 0, recordOf({ outcome: 'Completed' }));

  it('is Ended when its pod is, and charged until the end of the goodbye', () => {
    const pod = makeHttpPod(running, { phase: 'Succeeded', supervisor, agent: endedNow(1, 27, 0) });
    expect(plan(running, pod, 28)).toMatchObject({
      status: { phase: 'Ended', reason: 'Completed', startedAt: TOLD, endedAt: at(27), usageSeconds: 26 },
      releasePod: true,
    });
  });

  it('is charged from its begin where the pod had waited', () => {
    const pod = makeHttpPod(running, { phase: 'Succeeded', startKind: 'Warm', supervisor, agent: endedNow(1, 27, 0) });
    expect(plan(running, pod, 28).status).toMatchObject({ usageSeconds: 22 });
  });

  it('is not told to be stopping when the agent goes in a moment', () => {
    const pod = makeHttpPod(running, { supervisor, agent: runningNow(1) });
    expect(plan(running, pod, 21.5)).toEqual({ requeueAfterMs: 2000 });
  });

  it('is Stopping with its outcome while the agent says goodbye for longer, and is not cut', () => {
    const pod = makeHttpPod(running, { supervisor, agent: runningNow(1) });
    const noted = plan(running, pod, 22);
    expect(noted).toMatchObject({ status: { phase: 'Stopping', reason: 'Completed' } });
    const stopping = after(running, noted);
    const next = plan(stopping, pod, 22.1);
    expect([next.deadlineSeconds, next.deletePod, next.askToStop, next.status]).toEqual(Array(4).fill(undefined));
    const over = makeHttpPod(running, { phase: 'Succeeded', supervisor, agent: endedNow(1, 29, 0) });
    expect(plan(stopping, over, 30).status).toMatchObject({ phase: 'Ended', reason: 'Completed', endedAt: at(29) });
  });

  it('by a broken connection is said at once to be over, and how: before its agent is told to end, as if it had ended by itself', () => {
    const broken = endedNow(2, 20, 0, recordOf({ outcome: 'ConnectionBroken', endedAt: EPOCH + 20_100 }));
    const noted = plan(running, makeHttpPod(running, { supervisor: broken, agent: runningNow(1) }), 20.5);
    const closed = { reason: 'Failed', message: 'the agent broke off the connection' };
    expect(noted.status).toMatchObject({ phase: 'Stopping', ...closed });
    const over = makeHttpPod(running, { phase: 'Succeeded', supervisor: broken, agent: endedNow(1, 20, 0) });
    expect(plan(after(running, noted), over, 21).status).toMatchObject({ phase: 'Ended', ...closed });
  });

  it('is learnt of by a process that has missed all of it', () => {
    const pod = makeHttpPod(fresh, { phase: 'Succeeded', supervisor, agent: endedNow(1, 21, 0) });
    expect(plan(fresh, pod, 100)).toMatchObject({
      status: { phase: 'Ended', reason: 'Completed', startedAt: TOLD, podUID: 'pod-uid-a' },
      releasePod: true,
    });
  });
});

describe('the limit', () => {
  const supervisor = endedNow(2, 606, 0, recordOf({ outcome: 'DeadlineExceeded' }));
  const goodbye = makeHttpPod(running, { supervisor, agent: runningNow(1) });

  it('leaves the agent its goodbye: nothing is forced', () => {
    const noted = plan(running, goodbye, 609);
    expect(noted.status).toMatchObject({ phase: 'Stopping', reason: 'DeadlineExceeded' });
    const stopping = after(running, noted);
    for (const seconds of [610, 615, 619]) {
      const { deletePod, deadlineSeconds, askToStop } = plan(stopping, goodbye, seconds);
      expect([deletePod, deadlineSeconds, askToStop]).toEqual([undefined, undefined, undefined]);
    }
  });

  it('is not forced either where the end is noticed only long afterwards', () => {
    const planned = plan(running, goodbye, 5000);
    expect(planned.deletePod).toBeUndefined();
  });

  it('ends by force a pod that nobody ends after the goodbye', () => {
    const stopping = after(running, plan(running, goodbye, 609));
    const forceAt = 609 + LIMITS.terminationGracePeriodSeconds + KUBELET_SLACK_MS / 1000;
    expect(plan(stopping, goodbye, forceAt - 1).deletePod).toBeUndefined();
    expect(plan(stopping, goodbye, forceAt).deletePod).toEqual({ gracePeriodSeconds: 0 });
  });

  it('is kept by us when neither the supervisor nor the kubelet keep it', () => {
    const overdue = 6 + LIMITS.maxSessionDuration + LIMITS.terminationGracePeriodSeconds + KUBELET_SLACK_MS / 1000;
    const pod = makeHttpPod(running, both);
    expect(plan(running, pod, overdue - 1).status).toBeUndefined();
    expect(plan(running, pod, overdue)).toMatchObject({
      deletePod: { gracePeriodSeconds: 0 },
      status: { phase: 'Stopping', reason: 'DeadlineExceeded' },
    });
  });
});

describe('a session that is stopped', () => {
  const stop = (session: Session): Session => ({ ...session, spec: { ...session.spec, stop: true } });
  const pod = makeHttpPod(running, both);

  const asked = (stopAskedMsAgo: number) => ({ delivery: { sent: true, stopAskedMsAgo } });
  /** The session after a second in which its supervisor did not end. */
  const stopping = after(stop(running), plan(stop(running), pod, 21, asked(1000)));

  it('is asked to stop, which mostly is over in a moment: that costs no write', () => {
    expect(plan(stop(running), pod, 20)).toEqual({ askToStop: true, requeueAfterMs: 1000 });
    expect(plan(stop(running), pod, 20.4, asked(400))).toEqual({ requeueAfterMs: 600 });
  });

  it('is said to be stopping when it takes longer, and then its kubelet is told', () => {
    const noted = plan(stop(running), pod, 21, asked(1000));
    expect(noted).toMatchObject({ status: { phase: 'Stopping', reason: 'Stopped' }, requeueAfterMs: 1000 });
    expect([noted.deadlineSeconds, noted.deletePod, noted.askToStop]).toEqual([undefined, undefined, undefined]);
    expect(plan(stopping, pod, 22, asked(2000))).toMatchObject({ deadlineSeconds: 1 });
  });

  it('is asked anew by a process that does not know whether it was', () => {
    for (const session of [stop(running), stopping]) expect(plan(session, pod, 22)).toMatchObject({ askToStop: true });
  });

  it('is left alone while its agent says goodbye', () => {
    const supervisor = endedNow(2, 21, 0, recordOf({ outcome: 'Stopped' }));
    const next = plan(stopping, makeHttpPod(running, { supervisor, agent: runningNow(1) }), 24, asked(4000));
    expect([next.deadlineSeconds, next.askToStop, next.deletePod]).toEqual([undefined, undefined, undefined]);
  });

  it('is ended by force when the kubelet does not act', () => {
    const lowered = makeHttpPod(running, { ...both, spec: { activeDeadlineSeconds: 1 } });
    const forceAt = 21 + LIMITS.terminationGracePeriodSeconds + KUBELET_SLACK_MS / 1000;
    expect(plan(stopping, lowered, forceAt - 1)).toEqual({ requeueAfterMs: 1000 });
    expect(plan(stopping, lowered, forceAt).deletePod).toEqual({ gracePeriodSeconds: 0 });
  });

  it('is Ended as Stopped, with its times, whether or not it was said to be stopping', () => {
    const supervisor = endedNow(2, 21, 0, recordOf({ outcome: 'Stopped' }));
    const over = makeHttpPod(running, { phase: 'Failed', supervisor, agent: endedNow(1, 24, 143) });
    for (const session of [stop(running), stopping])
      expect(plan(session, over, 25).status).toMatchObject({ phase: 'Ended', reason: 'Stopped', startedAt: TOLD });
  });

  it('gets the kubelet at once where nobody is known to have been told, and is not delivered any more', () => {
    const planned = plan(stop(starting), makeHttpPod(starting, both), 3, NOT_SENT);
    expect(planned).toMatchObject({ deadlineSeconds: 1, status: { phase: 'Stopping', reason: 'Stopped' } });
    expect([planned.deliver, planned.askToStop]).toEqual([undefined, undefined]);
  });

  it('is asked to stop also before it has begun, when it has been told: it must not begin any more', () => {
    const waits = makeHttpPod(starting, { ...both, ready: false });
    expect(plan(stop(starting), waits, 3, { delivery: { sent: true } })).toEqual({
      askToStop: true,
      requeueAfterMs: 1000,
    });
    expect(plan(stop(starting), waits, 5, asked(2000))).toMatchObject({
      deadlineSeconds: 1,
      status: { phase: 'Stopping', reason: 'Stopped' },
    });
  });

  it('is left to the kubelet where the pod has no address to ask at', () => {
    const lost = makeHttpPod(running, { ...both, status: { podIP: undefined } as never });
    for (const view of [STARTED, {}]) {
      const planned = plan(stop(running), lost, 20, view);
      expect(planned).toMatchObject({ deadlineSeconds: 1, status: { phase: 'Stopping', reason: 'Stopped' } });
      expect(planned.askToStop).toBeUndefined();
    }
  });

  it('gets no other pod when the one that it had was told nothing', () => {
    const supervisor = endedNow(2, 9, 0, recordOf({ outcome: 'Stopped', delivered: false }));
    const over = makeHttpPod(starting, { phase: 'Failed', supervisor });
    expect(plan(stop(starting), over, 10).status).toMatchObject({ phase: 'Ended', reason: 'Stopped' });
  });
});

describe('a pod that dies before it was told anything', () => {
  const untold = endedNow(2, 4, 0, recordOf({ outcome: 'Stopped', delivered: false }));
  const dead = makeHttpPod(starting, { phase: 'Failed', supervisor: untold });

  it('is replaced: the Session keeps its place and its time', () => {
    const planned = plan(starting, dead, 5);
    expect(planned).toEqual({ status: expect.anything() as object });
    expect(planned.status).toMatchObject({
      phase: 'Starting',
      reason: 'Retrying',
      attempt: 1,
      admittedAt: starting.status?.admittedAt,
      limits: LIMITS,
    });
    const { podUID, podName, nodeName, boundAt, startKind } = planned.status ?? {};
    expect([podUID, podName, nodeName, boundAt, startKind]).toEqual(Array(5).fill(undefined));
  });

  it('is replaced also before anything was written of it', () => {
    const planned = plan(fresh, dead, 0.5);
    expect(planned.status).toMatchObject({ reason: 'Retrying', attempt: 1, admittedAt: new Date(EPOCH).toISOString() });
  });

  it('is not the last word: the next pod starts as any other', () => {
    const retrying = after(starting, plan(starting, dead, 5));
    const next = makeHttpPod(retrying, { attempt: 1, metadata: { uid: 'pod-2' }, ...both });
    const started = plan(retrying, next, 9, STARTED);
    expect(started.status).toMatchObject({ phase: 'Running', podUID: 'pod-2', attempt: 1, startedAt: TOLD });
    expect(started.status?.reason).toBeUndefined();
  });

  it('is replaced where this process has sent nothing and its node is gone', () => {
    const pod = makeHttpPod(starting, both);
    expect(plan(starting, pod, 5, { ...NOT_SENT, node: { state: 'gone' } }).status).toMatchObject({ attempt: 1 });
  });

  it('is replaced where it takes no connection although it is ready', () => {
    const pod = makeHttpPod(starting, { ...both, startKind: 'Warm', startWindowSeconds: 8 });
    const delivery = {
      sent: false,
      unreachableForMs: 4000,
      problem: 'its supervisor at 10.0.0.7: no connection in time',
    };
    const planned = plan(starting, pod, 5, { delivery });
    expect(planned.status).toMatchObject({ reason: 'Retrying', attempt: 1 });
    expect(planned.status?.message).toContain('no connection in time');
    expect(planned.deliver).toBeUndefined();
    expect(planned.giveUp).toBe(true);
  });

  it('is replaced where it was ready and has been told nothing in all the time that it had', () => {
    const pod = makeHttpPod(starting, { ...both, startKind: 'Warm', startWindowSeconds: 8 });
    const delivery: Delivery = { sent: false, expired: true, problem: 'the body cannot be read: 503' };
    const planned = plan(starting, pod, 9, { delivery });
    expect(planned).toMatchObject({ giveUp: true, status: { reason: 'Retrying', attempt: 1 } });
    expect(planned.status?.message).toContain('the body cannot be read');
  });

  it('is not replaced when there is no time left for another', () => {
    expect(plan(starting, dead, 118.9).status).toMatchObject({ reason: 'Retrying' });
    expect(plan(starting, dead, 119).status).toMatchObject({ phase: 'Ended' });
    const unreachable = { delivery: { sent: false, unreachableForMs: 60_000 } };
    const late = plan(starting, makeHttpPod(starting, both), 119, unreachable);
    expect([late.status, late.giveUp]).toEqual([undefined, undefined]);
    expect(late.requeueAfterMs).toBeLessThanOrEqual(3000);
  });

  it('is not replaced while the Session has another pod', () => {
    for (const rival of ['ending', 'mayHaveRun'] as const)
      expect(plan(starting, dead, 5, { rival }).status).toMatchObject({ phase: 'Ended' });
    const delivery = { sent: false, unreachableForMs: 60_000 };
    const planned = plan(starting, makeHttpPod(starting, both), 65, { rival: 'ending', delivery });
    expect([planned.status, planned.giveUp, planned.deliver]).toEqual([undefined, undefined, undefined]);
  });

  it('is not replaced while the Session is being deleted', () => {
    const leaving = { ...starting, metadata: { ...starting.metadata, deletionTimestamp: at(4) } };
    expect(plan(leaving, dead, 5)).toMatchObject({ status: { phase: 'Ended' }, releasePod: true });
  });

  it('is not replaced for ever', () => {
    const last = makeSession('a', { status: boundStatus(fresh, { attempt: 3 }) });
    const pod = makeHttpPod(last, { attempt: 3, phase: 'Failed', supervisor: untold });
    expect(plan(last, pod, 5)).toMatchObject({ status: { phase: 'Ended', reason: 'Lost' }, releasePod: true });
  });
});

describe('a pod that may have been told', () => {
  const died = makeHttpPod(starting, { phase: 'Failed', supervisor: endedNow(2, 4, 137), agent: endedNow(1, 5, 0) });

  it('is Lost: running a session twice is worse', () => {
    for (const view of [{ delivery: { sent: true } }, {}])
      expect(plan(starting, died, 6, view).status).toMatchObject({ phase: 'Ended', reason: 'Lost' });
  });

  it('is Lost with its node', () => {
    const pod = makeHttpPod(starting, both);
    for (const view of [{ delivery: { sent: true } }, {}])
      expect(plan(starting, pod, 6, { ...view, node: { state: 'gone' } })).toMatchObject({
        status: { phase: 'Ended', reason: 'Lost' },
        deletePod: {},
        releasePod: true,
      });
  });

  it('is waited for as long as the start timeout, and a moment more: its supervisor keeps that itself', () => {
    const pod = makeHttpPod(starting, both);
    for (const seconds of [120, 121.9]) {
      const { status, askToStop, deadlineSeconds } = plan(starting, pod, seconds, { delivery: { sent: true } });
      expect([status, askToStop, deadlineSeconds]).toEqual([undefined, undefined, undefined]);
    }
    const delivery = { sent: true, problem: 'no answer' };
    const written = plan(starting, pod, 124, { delivery });
    expect(written).toMatchObject({
      status: {
        phase: 'Stopping',
        reason: 'StartTimeout',
        message: expect.stringContaining('no answer') as string,
      },
    });
    // First it is written down why, then the supervisor is asked, and then the kubelet is told.
    expect(written.askToStop).toBeUndefined();
    const stopping = after(starting, written);
    expect(plan(stopping, pod, 124, { delivery })).toMatchObject({ askToStop: true });
    expect(plan(stopping, pod, 127, { delivery: { ...delivery, stopAskedMsAgo: 2000 } })).toMatchObject({
      deadlineSeconds: 1,
    });
  });

  it('is Lost when it is removed by force because it did not start in time, unless it was surely told nothing', () => {
    const stopping = after(starting, plan(starting, makeHttpPod(starting, both), 124, { delivery: { sent: true } }));
    const removed = { ...both, metadata: { deletionTimestamp: at(130), deletionGracePeriodSeconds: 0 } };
    const pod = makeHttpPod(stopping, removed);
    for (const view of [{ delivery: { sent: true } }, {}])
      expect(plan(stopping, pod, 131, view).status).toMatchObject({ phase: 'Ended', reason: 'Lost' });
    const noAddress = makeHttpPod(stopping, { ...removed, status: { podIP: undefined } as never });
    for (const [of, view] of [
      [pod, NOT_SENT],
      [noAddress, {}],
    ] as const)
      expect(plan(stopping, of, 131, view).status).toMatchObject({ phase: 'Ended', reason: 'StartTimeout' });
  });

  it('is not waited for where nothing has been sent', () => {
    const pod = makeHttpPod(starting, both);
    expect(plan(starting, pod, 120, NOT_SENT).status).toMatchObject({ reason: 'StartTimeout' });
  });
});

describe('an agent that is never ready', () => {
  const neverReady = endedNow(
    2,
    12,
    0,
    recordOf({ outcome: 'NeverReady', delivered: false, message: 'it was never ready' }),
  );

  it('is left for another pod where this one was said to be ready', () => {
    const pod = makeHttpPod(starting, {
      startKind: 'Warm',
      startWindowSeconds: 8,
      phase: 'Failed',
      supervisor: neverReady,
    });
    expect(plan(starting, pod, 13, { delivery: { sent: true } }).status).toMatchObject({
      reason: 'Retrying',
      message: expect.stringContaining('it was never ready') as string,
    });
  });

  it('ends the Session as StartTimeout when there is no other try', () => {
    const last = makeSession('a', { status: boundStatus(fresh, { attempt: 3 }) });
    const pod = makeHttpPod(last, {
      attempt: 3,
      phase: 'Failed',
      supervisor: neverReady,
      agent: waitingNow('CrashLoopBackOff'),
    });
    expect(plan(last, pod, 13).status).toMatchObject({ phase: 'Ended', reason: 'StartTimeout' });
  });
});

describe('two pods of one Session', () => {
  const pod = makeHttpPod(fresh, both);

  it('are told nothing until one has gone', () => {
    const planned = plan(fresh, pod, 2, { rival: 'ending' });
    expect(planned.deliver).toBeUndefined();
    expect(planned.status).toMatchObject({ phase: 'Starting' });
    expect(plan(fresh, pod, 3).deliver).toBeDefined();
  });

  it('end the Session where the other one may have run it', () => {
    expect(plan(starting, pod, 3, { rival: 'mayHaveRun' })).toMatchObject({
      deadlineSeconds: 1,
      status: { phase: 'Stopping', reason: 'Lost' },
    });
  });

  it('do not disturb one that runs already', () => {
    expect(plan(running, makeHttpPod(running, both), 60, { rival: 'ending' })).toEqual({
      requeueAfterMs: expect.any(Number) as number,
    });
  });
});

describe('a pod whose Session was deleted', () => {
  it('is deleted, told nothing, and let go of with what it has used', () => {
    const pod = makeHttpPod(fresh, both);
    expect(plan(undefined, pod, 3)).toMatchObject({ deletePod: {} });
    expect(plan(undefined, pod, 3).deliver).toBeUndefined();
    const supervisor = endedNow(2, 4, 0, recordOf({ outcome: 'Stopped' }));
    const over = makeHttpPod(fresh, { phase: 'Failed', supervisor, agent: endedNow(1, 5, 0) });
    expect(plan(undefined, over, 6)).toMatchObject({ ended: { outcome: { reason: 'Stopped' } }, releasePod: true });
  });
});

describe('a session that is over', () => {
  it('is never told to a pod again, whatever that shows', () => {
    const ended = makeSession('a', { status: boundStatus(fresh, { phase: 'Ended', reason: 'Lost', endedAt: at(9) }) });
    const planned = plan(ended, makeHttpPod(ended, both), 20);
    expect([planned.deliver, planned.status]).toEqual([undefined, undefined]);
    expect(planned).toMatchObject({ deletePod: {}, releasePod: true });
  });
});
