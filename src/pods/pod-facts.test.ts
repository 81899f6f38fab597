import { describe, expect, it } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import { isReady, lastFinishedAt, lastLine, waitCause } from './pod-facts.ts';

const EPOCH = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number): string => new Date(EPOCH + seconds * 1000).toISOString().replace('.000Z', 'Z');

function podWith(status: object, spec: object = { nodeName: 'node-1' }): Pod {
  return { metadata: {}, spec, status } as unknown as Pod;
}

const runs = (name: string) => ({ name, state: { running: { startedAt: at(1) } } });
const ended = (name: string, finishedAt: number) => ({ name, state: { terminated: { finishedAt: at(finishedAt) } } });
const waits = (name: string, reason: string, more: object = {}) => ({ name, state: { waiting: { reason } }, ...more });

describe('when the last container finished', () => {
  const finished = (phase: string, initContainerStatuses: object[], containerStatuses: object[]) =>
    lastFinishedAt(podWith({ phase, initContainerStatuses, containerStatuses }));

  it('is the end of the goodbye, not of the supervisor', () => {
    expect(finished('Succeeded', [ended('agent', 20)], [ended('supervisor', 11)])).toBe(at(20));
  });

  it('is known as soon as all have ended, whatever the phase still says', () => {
    expect(finished('Running', [ended('agent', 20)], [ended('supervisor', 11)])).toBe(at(20));
  });

  it('is unknown while a sidecar runs', () => {
    expect(finished('Running', [ended('prepare', 2), runs('agent')], [ended('supervisor', 11)])).toBeUndefined();
  });

  it('is unknown while a sidecar waits to be started again', () => {
    const agent = waits('agent', 'CrashLoopBackOff', { lastState: { terminated: { finishedAt: at(9) } } });
    expect(finished('Running', [agent], [ended('supervisor', 11)])).toBeUndefined();
  });

  it('is unknown before the main container has a status', () => {
    expect(finished('Pending', [ended('prepare', 2)], [])).toBeUndefined();
  });

  it('is the end of the init container that failed', () => {
    const status = [waits('supervisor', 'PodInitializing')];
    expect(finished('Failed', [ended('prepare', 2), waits('agent', 'PodInitializing')], status)).toBe(at(2));
  });

  it('is unknown where a pod was declared Failed with its node: what ran then may run on', () => {
    expect(finished('Failed', [ended('prepare', 2), runs('agent')], [runs('supervisor')])).toBeUndefined();
    expect(finished('Failed', [ended('prepare', 2), runs('agent')], [ended('supervisor', 11)])).toBeUndefined();
    expect(finished('Failed', [ended('prepare', 2)], [runs('agent')])).toBeUndefined();
  });

  it('is unknown where the node took nothing', () => {
    expect(finished('Failed', [], [])).toBeUndefined();
    expect(finished('Failed', [], [{ name: 'agent', state: { terminated: { finishedAt: null } } }])).toBeUndefined();
  });
});

describe('why a pod has not started', () => {
  it('is the scheduler’s word before anything else', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes' }];
    expect(waitCause(podWith({ conditions }, {}))).toEqual({ reason: 'Unschedulable', message: '0/3 nodes' });
  });

  it('is a crash of the agent, with how it ended and its last words', () => {
    const crash = (terminated: object) =>
      waitCause(
        podWith({
          initContainerStatuses: [
            waits('agent', 'CrashLoopBackOff', { restartCount: 3, lastState: { terminated: terminated } }),
          ],
          containerStatuses: [waits('supervisor', 'PodInitializing')],
        }),
      );
    expect(crash({ exitCode: 1, message: 'Traceback\n  File "bot.py"\nKeyError: TOKEN\n' })).toEqual({
      reason: 'CrashLoopBackOff',
      message: 'container agent exited with code 1, and was started 3 times again: KeyError: TOKEN',
    });
    expect(crash({ exitCode: 137, reason: 'OOMKilled' })?.message).toBe(
      'container agent used more memory than its limit, and was started 3 times again',
    );
  });

  it('is a crash although the record of it is gone', () => {
    const status = { containerStatuses: [waits('agent', 'CrashLoopBackOff', { restartCount: 1 })] };
    expect(waitCause(podWith(status))).toMatchObject({ reason: 'CrashLoopBackOff' });
  });

  it('is a crash also between two of them, when the agent runs for a moment or has just ended', () => {
    const crash = (agent: object) => waitCause(podWith({ initContainerStatuses: [{ name: 'agent', ...agent }] }));
    const lastState = { terminated: { exitCode: 1, message: 'KeyError: TOKEN' } };
    const state = { running: { startedAt: at(1) } };
    expect(crash({ restartCount: 2, state, lastState })).toEqual({
      reason: 'CrashLoopBackOff',
      message: 'container agent exited with code 1, and was started 2 times again: KeyError: TOKEN',
    });
    expect(crash({ restartCount: 2, state: { terminated: { exitCode: 3 } } })).toEqual({
      reason: 'CrashLoopBackOff',
      message: 'container agent exited with code 3, and was started 2 times again',
    });
    // Once is no loop.
    expect(crash({ restartCount: 1, state, lastState })).toMatchObject({ reason: 'AgentNotReady' });
  });

  it('is no crash any more once the agent is ready', () => {
    const status = {
      conditions: [{ type: 'Ready', status: 'True' }],
      initContainerStatuses: [{ ...runs('agent'), restartCount: 5 }],
    };
    expect(waitCause(podWith(status))?.reason).not.toBe('CrashLoopBackOff');
  });

  it('is nothing that a pod still does once it is over; only what has ended it', () => {
    const over = (agent: object) => waitCause(podWith({ phase: 'Failed', initContainerStatuses: [agent] }));
    expect(over({ ...runs('agent'), restartCount: 0 })).toBeUndefined();
    expect(over({ ...ended('agent', 3), restartCount: 0 })).toBeUndefined();
    expect(waitCause(podWith({ phase: 'Failed' }))).toBeUndefined();
    expect(over({ ...ended('agent', 3), restartCount: 2 })).toMatchObject({ reason: 'CrashLoopBackOff' });
    expect(over(waits('agent', 'ErrImagePull'))).toMatchObject({ reason: 'ImagePullFailed' });
  });

  it('is the problem of any container, also when the agent runs', () => {
    const status = {
      initContainerStatuses: [runs('agent')],
      containerStatuses: [waits('supervisor', 'ImagePullBackOff')],
    };
    expect(waitCause(podWith(status))).toMatchObject({ reason: 'ImagePullFailed' });
  });

  it('is that the agent is not ready, when it runs and nothing else is wrong', () => {
    const status = { initContainerStatuses: [runs('agent')], containerStatuses: [runs('supervisor')] };
    expect(waitCause(podWith(status))).toMatchObject({ reason: 'AgentNotReady' });
  });

  it('is the node’s work while the agent does not run yet, and nothing without a node', () => {
    const status = { initContainerStatuses: [waits('agent', 'PodInitializing')] };
    expect(waitCause(podWith(status))).toMatchObject({ reason: 'ContainerCreating' });
    expect(waitCause(podWith({}, {}))).toBeUndefined();
  });
});

describe('whether a pod is ready', () => {
  it('is what the kubelet says, and no when it says nothing', () => {
    expect(isReady(podWith({ conditions: [{ type: 'Ready', status: 'True' }] }))).toBe(true);
    expect(isReady(podWith({ conditions: [{ type: 'Ready', status: 'False' }] }))).toBe(false);
    expect(isReady(podWith({ conditions: [{ type: 'ContainersReady', status: 'True' }] }))).toBe(false);
    expect(isReady(podWith({}))).toBe(false);
  });
});

describe('the last line of a log', () => {
  it('is what people need, of bounded length', () => {
    expect(lastLine('a\nb \n\n')).toBe(': b');
    expect(lastLine(undefined)).toBe('');
    expect(lastLine(' \n')).toBe('');
    expect(lastLine('x'.repeat(9000)).length).toBeLessThan(600);
  });
});
