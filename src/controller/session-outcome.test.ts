import { describe, expect, it } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import { planSession } from './session-plan.ts';
import { outcomeOf, removedOutcome } from './session-outcome.ts';
import { at, boundStatus, EPOCH, makePod, makeSession, running, terminated } from './testing/objects.ts';

const session = makeSession('a', { status: boundStatus(makeSession('a'), { phase: 'Running', startedAt: at(2) }) });

/** What Kubernetes 1.34 was seen to show of the sandbox, since so many seconds. */
function sandbox(status: 'True' | 'False', since: number): Pick<Pod['status'], 'conditions'> {
  return { conditions: [{ type: 'PodReadyToStartContainers', status, lastTransitionTime: at(since) }] };
}

describe('a session whose sandbox dies', () => {
  const dying = makePod(session, { status: { ...running(at(2)), ...sandbox('False', 9) } });

  it('is noted as Lost while its agent still runs, and the rest of the pod is told to end', () => {
    const planned = planSession({ session, pod: dying, node: { state: 'answers' }, now: EPOCH + 9_500 });
    expect(planned).toMatchObject({ deadlineSeconds: 1, status: { phase: 'Stopping', reason: 'Lost' } });
  });

  it('is Lost even when its agent then exits with 0, by itself as far as the pod shows', () => {
    const { status } = planSession({ session, pod: dying, node: { state: 'answers' }, now: EPOCH + 9_500 });
    const noted = { ...session, ...(status && { status }) };
    const over = makePod(session, { status: { ...terminated('Succeeded', { exitCode: 0 }), ...sandbox('False', 9) } });
    expect(
      planSession({ session: noted, pod: over, node: { state: 'answers' }, now: EPOCH + 11_000 }).status,
    ).toMatchObject({ phase: 'Ended', reason: 'Lost', message: 'the sandbox of the pod died', exitCode: 0 });
  });

  it('is Lost also when nobody looked in between: the sandbox ended before the agent', () => {
    const over = makePod(session, { status: { ...terminated('Succeeded', { exitCode: 0 }), ...sandbox('False', 9) } });
    expect(outcomeOf(over, undefined)).toMatchObject({ reason: 'Lost', exitCode: 0 });
  });

  it.each([
    ['in the same second', sandbox('False', 10)],
    ['after it, as at every end', sandbox('False', 12)],
    ['not at all yet', sandbox('True', 2)],
  ])('is believed that it completed when the sandbox ended %s', (_when, conditions) => {
    const over = makePod(session, { status: { ...terminated('Succeeded', { exitCode: 0 }), ...conditions } });
    expect(outcomeOf(over, undefined)).toMatchObject({ reason: 'Completed' });
  });

  it('is not suspected while the agent’s container has yet to start', () => {
    const starting = makePod(session, { status: { phase: 'Pending', ...sandbox('False', 1) } });
    const fresh = makeSession('a', { status: boundStatus(makeSession('a')) });
    const planned = planSession({ session: fresh, pod: starting, node: { state: 'answers' }, now: EPOCH + 3_000 });
    expect(planned.status?.phase ?? 'Starting').toBe('Starting');
    expect(planned.deadlineSeconds).toBeUndefined();
  });
});

describe('a command that does not exist', () => {
  it('is told as an agent that could not be started, not as one that exited', () => {
    const exit = { exitCode: 128, reason: 'StartError', message: 'exec: "/nowhere": no such file' };
    expect(outcomeOf(makePod(session, { status: terminated('Failed', exit) }), undefined)).toEqual({
      reason: 'Failed',
      message: 'the agent could not be started: exec: "/nowhere": no such file',
      exitCode: 128,
    });
  });
});

describe('a pod that is removed before any kubelet reports its end', () => {
  const evicted = { conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }] };

  it.each([
    ['by somebody, without a node', { spec: { nodeName: '' } }, 'the pod was deleted before it had a node'],
    ['by force', {}, 'the pod was deleted by force'],
    ['by an eviction', { spec: { nodeName: '' }, status: evicted }, 'the pod was evicted'],
  ])('%s: says so', (_how, options, message) => {
    expect(removedOutcome(makePod(session, options))).toEqual({ reason: 'Lost', message });
  });
});
