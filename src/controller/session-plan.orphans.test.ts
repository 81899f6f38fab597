import { describe, expect, it } from 'vitest';
import { Store } from '../kube/store.ts';
import type { Pod } from '../kube/objects.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { agentIndexes, podIndexes, sessionIndexes, type Caches } from './caches.ts';
import { createQueues, enqueueAll } from './queues.ts';
import { planSession, type SessionPlan } from './session-plan.ts';
import { at, EPOCH, makePod, makeSession, running, terminated } from './testing/objects.ts';

const session = makeSession('a');
const owned = {
  ownerReferences: [{ apiVersion: 'bullpen.dev/v1alpha1', kind: 'Session', name: 'a', uid: 'uid-a', controller: true }],
};

function plan(pod: Pod, seconds = 31): SessionPlan {
  return planSession({ session: undefined, pod, node: { state: 'answers' }, now: EPOCH + seconds * 1000 });
}

describe('a pod whose Session was deleted', () => {
  it('is deleted, and let go of when it has ended', () => {
    expect(plan(makePod(session, { status: running(at(2)), metadata: owned }))).toMatchObject({ deletePod: {} });
    const over = makePod(session, {
      status: terminated('Failed', { exitCode: 143 }),
      metadata: { ...owned, deletionTimestamp: at(30) },
    });
    expect(plan(over)).toEqual({ ended: { outcome: expect.anything() as never, pod: over }, releasePod: true });
    expect(plan(over)).toMatchObject({ ended: { outcome: { reason: 'Stopped' } } });
  });

  it('is left to the garbage collector when it has ended and nobody holds it', () => {
    const metadata = { ...owned, finalizers: [] };
    expect(plan(makePod(session, { status: terminated('Succeeded', { exitCode: 0 }), metadata }))).toEqual({});
  });

  it('is deleted after its end too where the deletion has left it without an owner', () => {
    const ended = terminated('Succeeded', { exitCode: 0 });
    expect(plan(makePod(session, { status: ended }))).toMatchObject({ deletePod: {}, releasePod: true });
    expect(plan(makePod(session, { status: ended, metadata: { finalizers: [] } }))).toEqual({ deletePod: {} });
  });

  it('is looked at by a new leader, also when it has ended and nobody holds it', async () => {
    const caches: Caches = {
      agents: new Store({ indexes: agentIndexes }),
      sessions: new Store({ indexes: sessionIndexes }),
      pods: new Store({ indexes: podIndexes }),
      nodes: new Store(),
    };
    const status = terminated('Succeeded', { exitCode: 0 });
    caches.pods.replaceAll([makePod(session, { status, metadata: { finalizers: [] } })], '10');
    const queues = createQueues({ clock: new FakeClock() });
    enqueueAll(caches, [], queues);
    expect(await queues.sessions.get(AbortSignal.timeout(1000))).toBe(session.metadata.uid);
  });
});
