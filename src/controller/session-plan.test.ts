import { describe, expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import {
  at,
  boundStatus,
  EPOCH,
  LIMITS,
  makePod,
  makeSession,
  running,
  terminated,
  waiting,
} from './testing/objects.ts';
import { KUBELET_SLACK_MS } from './session-deadlines.ts';
import type { NodeState } from './session-ending.ts';
import { planSession, type SessionPlan } from './session-plan.ts';

const ANSWERS: NodeState = { state: 'answers' };

function plan(
  session: Session | undefined,
  pod: Pod | undefined,
  seconds: number,
  node: NodeState = ANSWERS,
): SessionPlan {
  return planSession({ session, pod, node, now: EPOCH + seconds * 1000 });
}

/** The session as it is after its planned status was written. */
function after(session: Session, { status }: SessionPlan): Session {
  return status === undefined ? session : { ...session, status };
}

describe('a session that starts', () => {
  it('is Starting as soon as its pod exists, with the limits of its binding', () => {
    const session = makeSession('a');
    const { status } = plan(session, makePod(session), 1);
    expect(status).toMatchObject({ phase: 'Starting', podUID: 'pod-uid-a', startKind: 'Cold', limits: LIMITS });
  });

  it('costs no second write while nothing new is known', () => {
    const session = makeSession('a');
    const next = after(session, plan(session, makePod(session), 1));
    expect(plan(next, makePod(session), 2)).toEqual({ requeueAfterMs: 118_000 });
  });

  it('names what it waits for, and keeps the first wording of one cause', () => {
    const session = makeSession('a');
    const starting = after(session, plan(session, makePod(session), 1));
    const pull = makePod(session, { status: waiting('ErrImagePull', 'not found') });
    const waits = after(starting, plan(starting, pull, 2));
    expect(waits.status).toMatchObject({
      phase: 'Starting',
      reason: 'ImagePullFailed',
      message: 'ErrImagePull: not found',
    });
    const backOff = makePod(session, { status: waiting('ImagePullBackOff', 'Back-off pulling image') });
    expect(plan(waits, backOff, 3).status).toBeUndefined();
  });

  it('is Running when the kubelet says so, and its deadline is lowered once: never earlier than the limit', () => {
    const session = makeSession('a', { status: boundStatus(makeSession('a')) });
    const pod = makePod(session, { status: running(at(5)) });
    const planned = plan(session, pod, 6);
    expect(planned.status).toMatchObject({ phase: 'Running', startedAt: at(5), nodeName: 'node-1' });
    // Accepted at 1 s, started at 5 s, and one second more because both are cut to whole seconds.
    expect(planned.deadlineSeconds).toBe(4 + LIMITS.maxSessionDuration + 1);
    const lowered = makePod(session, { status: running(at(5)), spec: { activeDeadlineSeconds: 605 } });
    expect(plan(after(session, planned), lowered, 7)).toEqual({ requeueAfterMs: expect.any(Number) as number });
  });

  it('ends as StartTimeout when it does not start in time: the kubelet is told to stop it', () => {
    const session = makeSession('a', { status: boundStatus(makeSession('a')) });
    const pod = makePod(session, { status: waiting('ErrImagePull', 'not found') });
    const planned = plan(session, pod, 121);
    expect(planned).toMatchObject({ deadlineSeconds: 1, status: { phase: 'Stopping', reason: 'StartTimeout' } });
    expect(planned.status?.message).toContain('not found');
    const dead = makePod(session, { status: { phase: 'Failed', reason: 'DeadlineExceeded' } });
    expect(plan(after(session, planned), dead, 123).status).toMatchObject({ phase: 'Ended', reason: 'StartTimeout' });
  });

  it('ends as StartTimeout without a node: the pod is deleted, since no kubelet would act', () => {
    const session = makeSession('a', { status: boundStatus(makeSession('a')) });
    const unscheduled = { spec: { nodeName: undefined } as unknown as Pod['spec'] };
    const planned = plan(session, makePod(session, unscheduled), 121);
    expect(planned).toMatchObject({ deletePod: {}, status: { reason: 'StartTimeout' } });
    const gone = makePod(session, { ...unscheduled, metadata: { deletionTimestamp: at(121) } });
    expect(plan(after(session, planned), gone, 122)).toMatchObject({
      status: { phase: 'Ended', reason: 'StartTimeout' },
      releasePod: true,
    });
  });
});

describe('a session that is stopped', () => {
  const started = makeSession('a');
  const session = makeSession('a', {
    spec: { stop: true },
    status: boundStatus(started, { phase: 'Running', startedAt: at(5) }),
  });

  it('is told to end by a deadline, which keeps its logs', () => {
    const planned = plan(session, makePod(session, { status: running(at(5)) }), 20);
    expect(planned).toMatchObject({ deadlineSeconds: 1, status: { phase: 'Stopping', reason: 'Stopped' } });
    expect(planned.deletePod).toBeUndefined();
  });

  it('is Ended as Stopped when its pod has ended, whatever its exit code', () => {
    const stopping = {
      ...session,
      status: {
        ...session.status,
        phase: 'Stopping' as const,
        reason: 'Stopped' as const,
        message: 'spec.stop was set',
      },
    };
    const pod = makePod(session, {
      status: { ...terminated('Failed', { exitCode: 143 }), reason: 'DeadlineExceeded' },
    });
    expect(plan(stopping, pod, 22)).toMatchObject({
      status: { phase: 'Ended', reason: 'Stopped', exitCode: 143 },
      releasePod: true,
    });
  });

  it('keeps its own outcome when it ended before it could be stopped', () => {
    const pod = makePod(session, { status: terminated('Succeeded', { exitCode: 0 }) });
    expect(plan(session, pod, 22).status).toMatchObject({ phase: 'Ended', reason: 'Completed', exitCode: 0 });
  });

  it('is deleted by force when its node does not act', () => {
    const stopping = {
      ...session,
      status: {
        ...session.status,
        phase: 'Stopping' as const,
        reason: 'Stopped' as const,
        message: '',
        stoppingAt: new Date(EPOCH + 20_000).toISOString(),
      },
    };
    const pod = makePod(session, { status: running(at(5)), spec: { activeDeadlineSeconds: 1 } });
    const forceAt = 20 + LIMITS.terminationGracePeriodSeconds + KUBELET_SLACK_MS / 1000;
    expect(plan(stopping, pod, forceAt - 1).deletePod).toBeUndefined();
    expect(plan(stopping, pod, forceAt).deletePod).toEqual({ gracePeriodSeconds: 0 });
    const forced = makePod(session, {
      status: running(at(5)),
      metadata: { deletionTimestamp: at(forceAt), deletionGracePeriodSeconds: 0 },
    });
    expect(plan(stopping, forced, forceAt + 1).status).toMatchObject({
      phase: 'Ended',
      reason: 'Stopped',
      endedAtSource: 'Controller',
    });
  });
});

describe('how a session ended', () => {
  const session = makeSession('a', { status: boundStatus(makeSession('a'), { phase: 'Running', startedAt: at(2) }) });
  const deleted = { deletionTimestamp: at(15), deletionGracePeriodSeconds: 10 };

  it.each<[string, Parameters<typeof makePod>[1], object]>([
    ['exit 0', { status: terminated('Succeeded', { exitCode: 0 }) }, { reason: 'Completed', exitCode: 0 }],
    ['exit 7', { status: terminated('Failed', { exitCode: 7 }) }, { reason: 'Failed', exitCode: 7 }],
    [
      'out of memory',
      { status: terminated('Failed', { exitCode: 137, reason: 'OOMKilled' }) },
      { reason: 'OutOfMemory', exitCode: 137 },
    ],
    ['137 without OOMKilled', { status: terminated('Failed', { exitCode: 137 }) }, { reason: 'Failed', exitCode: 137 }],
    [
      'the limit',
      { status: { ...terminated('Failed', { exitCode: 143 }), reason: 'DeadlineExceeded' } },
      { reason: 'DeadlineExceeded' },
    ],
    [
      'a deleted pod',
      { status: terminated('Failed', { exitCode: 143 }), metadata: deleted },
      { reason: 'Lost', message: 'the pod was deleted' },
    ],
    [
      'a deleted pod whose agent says goodbye with 0',
      { status: terminated('Succeeded', { exitCode: 0 }), metadata: deleted },
      { reason: 'Lost' },
    ],
    [
      'a pod deleted after its end',
      { status: terminated('Succeeded', { exitCode: 0, finishedAt: at(4) }), metadata: deleted },
      { reason: 'Completed' },
    ],
    [
      'an eviction',
      {
        status: {
          ...terminated('Failed', { exitCode: 143 }),
          conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }],
        },
      },
      { reason: 'Lost', message: 'the pod was evicted' },
    ],
    [
      'a preemption',
      {
        status: {
          phase: 'Failed',
          conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message: 'm' }],
        },
      },
      { reason: 'Lost', message: 'the pod was preempted: m' },
    ],
    [
      'node pressure',
      { status: { phase: 'Failed', reason: 'Evicted', message: 'low on memory' } },
      { reason: 'Lost', message: 'the pod was evicted: low on memory' },
    ],
    [
      'a node that refused it',
      { status: { phase: 'Failed', reason: 'OutOfcpu', message: 'no cpu' } },
      { reason: 'Lost', message: 'the node refused the pod: OutOfcpu: no cpu' },
    ],
    [
      'a container that the node lost',
      { status: terminated('Failed', { exitCode: 137, reason: 'ContainerStatusUnknown' }) },
      { reason: 'Lost' },
    ],
  ])('%s', (_name, podOptions, expected) => {
    const planned = plan(session, makePod(session, podOptions), 12);
    expect(planned.status).toMatchObject({ phase: 'Ended', ...expected });
    expect(planned.releasePod).toBe(true);
  });

  it('counts what it used by the node’s clock: from its acceptance to the end of its last container', () => {
    const pod = makePod(session, { status: terminated('Succeeded', { exitCode: 0, finishedAt: at(61) }) });
    expect(plan(session, pod, 5000).status).toMatchObject({
      usageSeconds: 60,
      endedAt: at(61),
      endedAtSource: 'Kubelet',
    });
  });

  it('is Lost at once when its node is gone, and the pod is removed', () => {
    const planned = plan(session, makePod(session, { status: running(at(2)) }), 12, { state: 'gone' });
    expect(planned).toMatchObject({
      status: { phase: 'Ended', reason: 'Lost', message: 'node node-1 is gone' },
      deletePod: {},
      releasePod: true,
    });
  });

  it('is Lost when its node has been silent for long enough, not before', () => {
    const pod = makePod(session, { status: running(at(2)) });
    expect(plan(session, pod, 12, { state: 'silent', silentForMs: 299_000 })).toMatchObject({ requeueAfterMs: 1000 });
    expect(plan(session, pod, 12, { state: 'silent', silentForMs: 300_000 }).status).toMatchObject({ reason: 'Lost' });
  });

  it('asks again before it calls a vanished pod lost', () => {
    expect(plan(session, undefined, 12)).toEqual({ confirmPodGone: true });
  });
});

describe('an agent that has ended while other containers run', () => {
  it('keeps its outcome, and the rest of the pod is told to end', () => {
    const session = makeSession('a', { status: boundStatus(makeSession('a'), { phase: 'Running', startedAt: at(2) }) });
    const status = terminated('Running', { exitCode: 0 });
    status.containerStatuses?.push({
      name: 'sidecar',
      image: '',
      imageID: '',
      ready: true,
      restartCount: 0,
      state: { running: { startedAt: at(2) } },
    });
    const noted = plan(session, makePod(session, { status }), 11);
    expect(noted.status).toMatchObject({ phase: 'Stopping', reason: 'Completed' });
    const told = plan(after(session, noted), makePod(session, { status }), 11);
    expect(told).toMatchObject({ deadlineSeconds: 1 });
    const over = makePod(session, { status: { ...status, phase: 'Failed', reason: 'DeadlineExceeded' } });
    expect(plan(after(session, noted), over, 13).status).toMatchObject({
      phase: 'Ended',
      reason: 'Completed',
      exitCode: 0,
    });
  });
});

describe('a session that is over', () => {
  const ended = makeSession('a', {
    spec: { ttlSecondsAfterFinished: 60 },
    status: boundStatus(makeSession('a'), { phase: 'Ended', reason: 'Completed', endedAt: at(10) }),
  });

  it('lets go of its pod when that was not done in time', () => {
    expect(plan(ended, makePod(ended, { status: terminated('Succeeded', { exitCode: 0 }) }), 20)).toEqual({
      releasePod: true,
      requeueAfterMs: 50_000,
    });
  });

  it('is deleted when its time to live is over', () => {
    expect(plan(ended, undefined, 70)).toEqual({ deleteSession: true });
  });

  it('lives from when it was found to be over, by our clock, however wrong that of its node is', () => {
    const found = {
      type: 'Finished',
      status: 'True' as const,
      reason: 'Completed',
      message: '',
      lastTransitionTime: at(40),
    };
    const late = makeSession('a', { spec: ended.spec, status: { ...ended.status, conditions: [found] } });
    expect(plan(late, undefined, 70)).toEqual({ requeueAfterMs: 30_000 });
    expect(plan(late, undefined, 100)).toEqual({ deleteSession: true });
  });

  it('never changes its phase again, whatever its pod shows', () => {
    const pod = makePod(ended, { status: running(at(2)) });
    expect(plan(ended, pod, 20).status).toBeUndefined();
  });

  it('stops a pod that comes back with its node', () => {
    const pod = makePod(ended, { status: running(at(2)), metadata: { finalizers: [] } });
    expect(plan(ended, pod, 20)).toMatchObject({ deletePod: {} });
  });
});
