import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pods as podResource } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { Stage } from '../support/stage.ts';

/** Sessions of protocol Http on a real control plane; the supervisors are real, the agents and kubelets are played. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'warm', { nodes: 4 });
});
afterAll(() => stage.close());

describe('a session of protocol Http', () => {
  test('starts cold: its agent is told once, byte for byte, and the session ends with the call', async () => {
    const scene = await stage.scene('cold');
    await scene.leader();
    await scene.httpAgent('echo', 3);
    await scene.kube.createSession('call', { agent: 'echo', body: '{"text": "Grüße, 世界 \\u0000"}' });
    const ended = await scene.kube.sessionInPhase('call', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind: 'Cold' });
    expect(scene.deliveries()).toMatchObject([
      {
        sessionId: ended.metadata.uid,
        body: '{"text": "Grüße, 世界 \\u0000"}',
        headers: { 'x-pcc-max-session-seconds': '7200' },
      },
    ]);
  });

  test('starts warm, in a pod that was waiting, and another one takes its place', async () => {
    const scene = await stage.scene('claim');
    await scene.leader();
    await scene.httpAgent('echo', 5, { scaling: { minAgents: 2, maxAgents: 5 } }, {});
    const warm = await scene.kube.warmPods('echo', 2);
    await scene.kube.createSession('call', { agent: 'echo' });
    const running = await scene.kube.sessionInPhase('call', 'Running');
    expect(running.status).toMatchObject({ startKind: 'Warm' });
    expect(warm.map(({ metadata }) => metadata.name)).toContain(running.status?.podName);
    const name = running.status?.podName ?? '';
    expect(scene.deliveries(name)).toMatchObject([{ body: '{}' }]);
    await scene.kube.warmPods('echo', 2);
    // Nor do later updates bring them back: every watcher would read them with every event.
    await scene.kube.api.patch(
      podResource,
      { namespace: scene.namespace, name },
      { type: 'merge', body: { metadata: { annotations: { 'example.com/note': 'by somebody else' } } } },
    );
    const busy = await scene.kube.api.get(podResource, { namespace: scene.namespace, name });
    expect(busy.metadata).not.toHaveProperty('managedFields');
  });
});
