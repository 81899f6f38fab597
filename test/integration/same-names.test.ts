import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agents } from '../../src/api/resources.ts';
import { pods } from '../../src/kube/resources.ts';
import { sessionPodName } from '../../src/pods/names.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** Names are used again: what bears one is not what bore it before. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'names');
});

afterAll(() => stage?.close());

async function deleteAgent(scene: Scene, name: string): Promise<void> {
  await scene.kube.api.delete(agents, { namespace: scene.namespace, name });
  await scene.kube.gone(agents, name);
}

describe.concurrent('a Session that is deleted and made again under the same name at once', () => {
  test('waits until the pod of the former one has ended, and gets a pod of its own', async () => {
    const scene = await stage.scene('again');
    await scene.agent('agent', 1, { whenFull: 'Queue' }, { stopMs: 1500, stopExitCode: 0 });
    await scene.leader();
    const first = await scene.kube.createSession('same', { agent: 'agent' });
    const running = await scene.kube.sessionInPhase('same', 'Running');
    await scene.kube.deleteSession('same');
    const second = await scene.kube.createSession('same', { agent: 'agent' });
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    const next = await scene.kube.sessionInPhase('same', 'Running');
    expect(next.metadata.uid).toBe(second.metadata.uid);
    expect(next.status?.podUID).not.toBe(running.status?.podUID);
    await scene.kube.gone(pods, running.status?.podName ?? '');
    const { violations, podsCreated, peaks } = await scene.replay();
    expect(violations).toEqual([]);
    expect(podsCreated).toBe(2);
    expect(peaks['agent']?.pods).toBe(1);
  });

  test('is not mistaken for the former one, however quickly that happens', async () => {
    const scene = await stage.scene('quick');
    await scene.agent('agent', 3, { whenFull: 'Queue', queueTimeoutSeconds: 600 });
    await scene.leader();
    const names = Array.from({ length: 10 }, (_, index) => `same-${index}`);
    await Promise.all(
      names.map(async (name) => {
        for (let round = 0; round < 3; round++) {
          await scene.kube.createSession(name, { agent: 'agent' });
          if (round < 2) await scene.kube.deleteSession(name);
        }
      }),
    );
    await scene.settled(names);
    const { violations, sessions, pods: left } = await scene.replay();
    expect(violations).toEqual([]);
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    const uids = new Set([...sessions.values()].map(({ status }) => status?.podUID));
    expect(new Set(left.map(({ metadata }) => metadata.uid))).toEqual(uids);
  });
});

describe.concurrent('an Agent that is deleted and made again under the same name', () => {
  test('knows the sessions of the former one, which go on to their own end', async () => {
    const scene = await stage.scene('agent');
    await scene.agent('agent', 2, { whenFull: 'Reject' }, {});
    await scene.leader();
    await scene.burst('agent', 2, 'old');
    const before = await Promise.all([0, 1].map((index) => scene.kube.sessionInPhase(`old-${index}`, 'Running')));
    await deleteAgent(scene, 'agent');
    await scene.burst('agent', 1, 'without');
    expect((await scene.kube.sessionInPhase('without-0', 'Rejected')).status?.reason).toBe('AgentNotFound');

    await scene.agent('agent', 2, { whenFull: 'Reject' }, {});
    await scene.burst('agent', 1, 'full');
    expect((await scene.kube.sessionInPhase('full-0', 'Rejected')).status?.reason).toBe('AtCapacity');
    stage.kubelet.exit(scene.namespace, before[0]?.status?.podName ?? '', { code: 0 });
    await scene.kube.sessionInPhase('old-0', 'Ended');
    await scene.burst('agent', 1, 'new');
    await scene.kube.sessionInPhase('new-0', 'Running');
    const other = await scene.kube.session('old-1');
    expect(other.status).toMatchObject({ phase: 'Running', podUID: before[1]?.status?.podUID });
    const { violations } = await scene.replay();
    expect(violations).toEqual([]);
  });
});

describe.concurrent('a pod that somebody else made under the name that a Session’s pod would have', () => {
  test('is never taken for it', async () => {
    const scene = await stage.scene('hijack');
    await scene.agent('agent', 1, { whenFull: 'Queue', startTimeoutSeconds: 15 }, {});
    await scene.leader();
    await scene.burst('agent', 1, 'first');
    const { status } = await scene.kube.sessionInPhase('first-0', 'Running');
    const { metadata } = await scene.kube.createSession('second', { agent: 'agent' });
    await scene.kube.sessionWhen('second', 'queued', (session) => session.status?.reason === 'Queued');
    const name = sessionPodName({ name: metadata.name, uid: metadata.uid }, 0);
    const foreign = { metadata: { name }, spec: { containers: [{ name: 'agent', image: 'evil' }] } };
    await scene.kube.api.create(pods, scene.namespace, foreign);
    stage.kubelet.exit(scene.namespace, status?.podName ?? '', { code: 0 });
    const ended = await scene.kube.sessionInPhase('second', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'StartTimeout' });
    expect(ended.status?.podUID).toBeUndefined();
    const untouched = await scene.kube.pod(name);
    expect(untouched.metadata).not.toHaveProperty('deletionTimestamp');
    expect(untouched.metadata).not.toHaveProperty('finalizers');
  });
});
