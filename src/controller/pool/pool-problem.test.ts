import { describe, expect, it } from 'vitest';
import { makeIdle, waitingNow } from '../testing/http-objects.ts';
import { at, EPOCH } from '../testing/objects.ts';
import { lateInMs, poolProblem } from './pool-problem.ts';

const after = (seconds: number): number => EPOCH + seconds * 1000;
const waits = (reason: string, options: Parameters<typeof makeIdle>[1] = {}) =>
  makeIdle('p', { ready: false, agent: waitingNow(reason), ...options });
const runsUnready = makeIdle('p', { ready: false });
const problem = (pods: ReturnType<typeof makeIdle>[], seconds = 1) => poolProblem(pods, 60, after(seconds));

describe('why pods of a pool are not ready', () => {
  it('is nothing while they are merely on their way', () => {
    expect(problem([])).toBeUndefined();
    expect(problem([makeIdle('ready')])).toBeUndefined();
    expect(problem([waits('ContainerCreating'), waits('PodInitializing')])).toBeUndefined();
  });

  it.each([
    ['ErrImagePull', 'ImagePullFailed'],
    ['CreateContainerConfigError', 'ContainerConfigError'],
    ['CrashLoopBackOff', 'CrashLoopBackOff'],
  ])('is what the kubelet says: %s', (reason, expected) => {
    expect(problem([waits(reason)])).toMatchObject({ reason: expected });
  });

  it('is that no node has room', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes' }];
    expect(problem([makeIdle('p', { ready: false, node: null, conditions })])).toEqual({
      reason: 'Unschedulable',
      message: 'a warm pod: 0/3 nodes',
    });
  });

  it('is the worst of several: what only a person can remove', () => {
    expect(problem([waits('CrashLoopBackOff'), waits('ErrImagePull'), runsUnready], 99)).toMatchObject({
      reason: 'ImagePullFailed',
    });
  });

  it('is an agent that is not ready only when it takes too long', () => {
    expect(problem([runsUnready], 59.9)).toBeUndefined();
    expect(problem([runsUnready], 60)).toMatchObject({ reason: 'AgentNotReady' });
  });

  it('is not that of a pod that leaves', () => {
    expect(problem([waits('ErrImagePull', { metadata: { deletionTimestamp: at(1) } })])).toBeUndefined();
  });
});

describe('when a pod takes too long', () => {
  it('is the start timeout after its creation: the first of them that is still to come', () => {
    const older = makeIdle('older', { ready: false, metadata: { creationTimestamp: at(-70) } });
    const old = makeIdle('old', { ready: false, metadata: { creationTimestamp: at(-20) } });
    expect(lateInMs([runsUnready, old, older], 60, EPOCH)).toBe(40_000);
  });

  it('is never where all are ready or late already', () => {
    const late = makeIdle('late', { ready: false, metadata: { creationTimestamp: at(-70) } });
    expect(lateInMs([makeIdle('ready'), late], 60, EPOCH)).toBeUndefined();
  });

  it('comes together with the problem: whoever looks then sees it', () => {
    const inMs = lateInMs([runsUnready], 60, EPOCH) ?? NaN;
    expect(poolProblem([runsUnready], 60, EPOCH + inMs - 1)).toBeUndefined();
    expect(poolProblem([runsUnready], 60, EPOCH + inMs)).toBeDefined();
  });
});
