import { describe, expect, it } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import { httpOutcome } from './http-outcome.ts';
import type { Delivery } from './session-facts.ts';
import { endedNow, makeHttpPod, recordOf, runningNow, waitingNow } from './testing/http-objects.ts';
import { at, EPOCH, makeSession } from './testing/objects.ts';

type Options = NonNullable<Parameters<typeof makeHttpPod>[1]>;

const STOP = { reason: 'Stopped', message: 'spec.stop was set' } as const;
const DELETED = { deletionTimestamp: at(20), deletionGracePeriodSeconds: 10 };

const podOf = (options: Options): Pod => makeHttpPod(makeSession('a'), { phase: 'Succeeded', ...options });

/** A pod whose supervisor has left this record. */
const recorded = (record: Parameters<typeof recordOf>[0], options: Options = {}): Pod =>
  podOf({ supervisor: endedNow(2, 11, 0, recordOf(record)), agent: endedNow(1, 12, 0), ...options });

const silent = (options: Options = {}, exit: object = {}): Pod =>
  podOf({ supervisor: endedNow(2, 11, 1, exit), agent: endedNow(1, 12, 0), phase: 'Failed', ...options });

describe('what the agent did', () => {
  it('Completed: it answered', () => {
    expect(httpOutcome(recorded({ outcome: 'Completed', httpStatus: 200 }), undefined)).toEqual({
      reason: 'Completed',
      message: '',
    });
  });

  it('Failed: it answered with an error', () => {
    expect(httpOutcome(recorded({ outcome: 'AgentError', httpStatus: 503 }), undefined)).toEqual({
      reason: 'Failed',
      message: 'the agent answered POST /bot with status 503',
    });
    const message = 'the agent answered GET /ws with status 403';
    expect(httpOutcome(recorded({ outcome: 'AgentError', httpStatus: 403, message }), undefined)).toEqual({
      reason: 'Failed',
      message,
    });
  });

  it('DeadlineExceeded: it reached the limit', () => {
    expect(httpOutcome(recorded({ outcome: 'DeadlineExceeded' }), undefined)).toMatchObject({
      reason: 'DeadlineExceeded',
    });
  });

  it.each(['Completed', 'AgentError', 'DeadlineExceeded'] as const)(
    'stands although it was stopped, or its pod deleted, after it had ended (%s)',
    (outcome) => {
      const reason = httpOutcome(recorded({ outcome }), undefined).reason;
      expect(httpOutcome(recorded({ outcome }, { metadata: DELETED }), STOP).reason).toBe(reason);
    },
  );
});

describe('an agent whose connection broke', () => {
  const broken = (agent: Options['agent']) =>
    httpOutcome(recorded({ outcome: 'ConnectionBroken' }, { ...(agent && { agent }) }), undefined);

  it('OutOfMemory: the kernel killed it', () => {
    expect(broken(endedNow(1, 9, 137, { reason: 'OOMKilled' }))).toMatchObject({
      reason: 'OutOfMemory',
      exitCode: 137,
    });
  });

  it('Failed: 137 alone is not out of memory', () => {
    expect(broken(endedNow(1, 9, 137))).toMatchObject({ reason: 'Failed', exitCode: 137 });
  });

  it('Failed, with its last words', () => {
    expect(broken(endedNow(1, 9, 1, { message: 'Traceback\nKeyError: TOKEN\n' }))).toEqual({
      reason: 'Failed',
      message: 'the agent exited with code 1: KeyError: TOKEN',
      exitCode: 1,
    });
  });

  describe('and that lived on', () => {
    const closed = { reason: 'Failed', message: 'the agent broke off the connection' } as const;
    const over = (agent: Options['agent'], intent?: Parameters<typeof httpOutcome>[1]) =>
      httpOutcome(recorded({ outcome: 'ConnectionBroken' }, { ...(agent && { agent }) }), intent);

    it('is not blamed for an end that came long after the break: it was told to', () => {
      expect(over(endedNow(1, 13, 0))).toEqual(closed);
      expect(over(endedNow(1, 20, 137))).toEqual(closed);
    });

    it('is not blamed for an end that came after it was seen to run', () => {
      expect(over(runningNow(1))).toEqual(closed);
      expect(over(endedNow(1, 10, 0), closed)).toEqual(closed);
    });

    it('is blamed for an end that was noted with the break', () => {
      const noted = { reason: 'Failed', message: 'the agent exited with code 3', exitCode: 3 } as const;
      expect(over(endedNow(1, 10, 3), noted)).toEqual(noted);
    });

    it('is out of memory, where it is, whatever was noted', () => {
      expect(over(endedNow(1, 10, 137, { reason: 'OOMKilled' }), closed)).toMatchObject({ reason: 'OutOfMemory' });
    });
  });

  it('Failed, with what the supervisor saw, when its container did not end', () => {
    const broken = recorded({ outcome: 'ConnectionBroken', message: 'no closing frame' }, { agent: runningNow(1) });
    expect(httpOutcome(broken, undefined)).toEqual({
      reason: 'Failed',
      message: 'the agent broke off the connection: no closing frame',
    });
  });

  it('is judged by the run that had the session, not by one before or after it', () => {
    const after = { ...runningNow(10), lastState: endedNow(1, 9, 137, { reason: 'OOMKilled' }).state };
    expect(broken(after)).toMatchObject({ reason: 'OutOfMemory' });
    const before = { ...runningNow(4), lastState: endedNow(1, 3, 137, { reason: 'OOMKilled' }).state };
    expect(broken(before)).toEqual({
      reason: 'Failed',
      message: 'the agent broke off the connection',
    });
  });
});

describe('an agent that was never ready', () => {
  it('StartTimeout, with what kept it', () => {
    const crashing = { ...waitingNow('CrashLoopBackOff'), restartCount: 2, lastState: endedNow(3, 4, 1).state };
    const record = { outcome: 'NeverReady', delivered: false, message: 'it was never ready' } as const;
    expect(httpOutcome(recorded(record, { agent: crashing }), undefined)).toEqual({
      reason: 'StartTimeout',
      message: 'it was never ready: container agent exited with code 1, and was started 2 times again',
    });
  });

  it('is what we had decided, where we had', () => {
    expect(httpOutcome(recorded({ outcome: 'NeverReady', delivered: false }), STOP)).toEqual(STOP);
  });
});

describe('a supervisor that was told to stop', () => {
  it('was told by us', () => {
    expect(httpOutcome(recorded({ outcome: 'Stopped' }), STOP)).toEqual(STOP);
  });

  it.each<[string, Options, object]>([
    [
      'an eviction',
      { status: { conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }] } },
      { reason: 'Lost', message: 'the pod was evicted' },
    ],
    ['a deleted pod', { metadata: DELETED }, { reason: 'Lost', message: 'the pod was deleted' }],
    ['a node that shuts down', { status: { reason: 'NodeShutdown' } }, { reason: 'Lost' }],
    ['a node, for reasons of its own', {}, { reason: 'Lost', message: 'the node ended the pod' }],
    ['the kubelet at the deadline', { status: { reason: 'DeadlineExceeded' } }, { reason: 'DeadlineExceeded' }],
  ])('was told by %s', (_name, options, expected) => {
    expect(httpOutcome(recorded({ outcome: 'Stopped' }, options), undefined)).toMatchObject(expected);
  });

  it('StartTimeout: the kubelet ended it before the agent was told anything', () => {
    const pod = recorded({ outcome: 'Stopped', delivered: false }, { status: { reason: 'DeadlineExceeded' } });
    expect(httpOutcome(pod, undefined)).toMatchObject({ reason: 'StartTimeout' });
  });
});

describe('a session that was to end because it had not begun in time', () => {
  const LATE = { reason: 'StartTimeout', message: 'it did not start within 120 s' } as const;
  const SENT = { sent: true };
  const IN_DOUBT = {
    reason: 'Lost',
    message: 'it is not known whether the agent was told: it did not start within 120 s',
  };
  const neverRan = podOf({ phase: 'Failed', supervisor: waitingNow('PodInitializing') });
  const podGone = { conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC' }] };

  it.each<[string, Pod, Delivery | undefined, object]>([
    [
      'StartTimeout: its supervisor says that nothing was delivered',
      recorded({ outcome: 'Stopped', delivered: false }),
      SENT,
      LATE,
    ],
    ['StartTimeout: its supervisor never ran', neverRan, SENT, LATE],
    ['StartTimeout: this process, which alone could have told it, has not', silent(), { sent: false }, LATE],
    ['Lost: nobody knows', silent(), SENT, IN_DOUBT],
    ['Lost: another process may know', silent(), undefined, IN_DOUBT],
    [
      'Lost: its node is gone, and may not have told that its supervisor ran',
      podOf({ phase: 'Failed', supervisor: waitingNow('PodInitializing'), status: podGone }),
      SENT,
      IN_DOUBT,
    ],
    [
      'Lost: its agent was told, and no answer had come',
      recorded({ outcome: 'Stopped', delivered: true }),
      SENT,
      { reason: 'Lost', message: 'the agent was told, but it did not start within 120 s' },
    ],
    [
      'what its agent did, which was told all the same',
      recorded({ outcome: 'ConnectionBroken' }, { agent: endedNow(1, 9, 7) }),
      SENT,
      { reason: 'Failed', message: 'the agent exited with code 7', exitCode: 7 },
    ],
    [
      '… also where the kubelet has forgotten how it ended',
      recorded({ outcome: 'ConnectionBroken' }, { agent: runningNow(10) }),
      SENT,
      { reason: 'Failed', message: 'the agent broke off the connection' },
    ],
  ])('%s', (_name, pod, delivery, expected) => {
    expect(httpOutcome(pod, LATE, delivery)).toEqual(expected);
  });
});

describe('a supervisor that left no record', () => {
  it.each<[string, Pod, object]>([
    ['it died', silent(), { reason: 'Lost', message: 'the supervisor died (exit code 1)' }],
    [
      'it used too much memory: that is not the agent’s doing',
      silent({}, { reason: 'OOMKilled' }),
      { reason: 'Lost', message: 'the supervisor died (out of memory)' },
    ],
    [
      'it exited with 0: without a record nothing is completed',
      podOf({ supervisor: endedNow(2, 11, 0), agent: endedNow(1, 12, 0) }),
      { reason: 'Lost' },
    ],
    [
      'somebody else wrote in its place',
      silent({}, { message: '{"outcome":"Completed"}' }),
      { reason: 'Lost', message: 'the supervisor died (exit code 1)' },
    ],
    ['the pod was deleted', silent({ metadata: DELETED }), { reason: 'Lost', message: 'the pod was deleted' }],
    [
      'the node was under pressure',
      silent({ status: { reason: 'Evicted', message: 'low on memory' } }),
      { reason: 'Lost', message: 'the pod was evicted: low on memory' },
    ],
    [
      'the node refused the pod',
      podOf({ phase: 'Failed', status: { reason: 'OutOfcpu', message: 'no cpu' } }),
      { reason: 'Lost', message: 'the node refused the pod: OutOfcpu: no cpu' },
    ],
    [
      'an init container failed',
      podOf({
        phase: 'Failed',
        status: {
          initContainerStatuses: [
            { name: 'prepare', image: '', imageID: '', ready: false, restartCount: 0, ...endedNow(1, 2, 3) },
          ],
        },
      }),
      { reason: 'Failed', message: 'init container prepare exited with code 3', exitCode: 3 },
    ],
  ])('%s', (_name, pod, expected) => {
    expect(httpOutcome(pod, undefined)).toMatchObject(expected);
  });

  it('ended by our decision, where there was one', () => {
    expect(httpOutcome(silent(), STOP)).toEqual(STOP);
  });

  it('has its times from the agent’s record only where there is one', () => {
    expect(httpOutcome(recorded({ outcome: 'ConnectionBroken', startedAt: EPOCH }), undefined)).toMatchObject({
      message: 'the agent broke off the connection',
    });
  });
});
