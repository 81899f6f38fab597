import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** The API server goes away in the middle of a burst and comes back: everything converges, the cap holds throughout. */
const cluster: Cluster = await connectCluster();
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(cluster, 'restart');
});

afterAll(() => stage?.close());

const MAX_AGENTS = 5;
const SESSIONS = 24;

async function prepare(name: string): Promise<Scene> {
  const scene = await stage.scene(name);
  await scene.agent(
    'agent',
    MAX_AGENTS,
    { whenFull: 'Queue', queueTimeoutSeconds: 600 },
    { exit: { afterMs: 500, code: 0 } },
  );
  await scene.keepRunning();
  return scene;
}

async function expectAllRan(scene: Scene, names: string[], what: string): Promise<void> {
  const since = Date.now();
  await scene.settled(names);
  const { violations, podsCreated, peaks, sessions, revisions } = await scene.replay();
  console.log(
    `${what}: settled ${((Date.now() - since) / 1000).toFixed(1)} s after it was back, over ${revisions} revisions`,
  );
  expect(violations).toEqual([]);
  expect(podsCreated).toBe(names.length);
  expect(peaks['agent']?.pods).toBeLessThanOrEqual(MAX_AGENTS);
  expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
}

async function restartInTheMiddle(scene: Scene, stop: () => Promise<void>): Promise<void> {
  const names = await scene.burst('agent', SESSIONS / 2, 'before');
  await scene.kube.sessionInPhase('before-2', 'Running', 'Ended');
  const since = Date.now();
  const stopped = stop();
  // Somebody who keeps trying meanwhile.
  const during = scene.burst('agent', SESSIONS / 2, 'during');
  await stopped;
  await cluster.startApiServer();
  const away = `away for ${((Date.now() - since) / 1000).toFixed(1)} s`;
  names.push(...(await during));
  await expectAllRan(scene, names, away);
}

describe.skipIf(cluster.provider !== 'binaries')('when in the middle of a burst the API server', () => {
  test('is killed and is started again', async () => {
    const scene = await prepare('killed');
    await restartInTheMiddle(scene, () => cluster.stopApiServer());
  });

  test('shuts down, is killed after a while, as its kubelet does, and is started again', async () => {
    const scene = await prepare('graceful');
    await restartInTheMiddle(scene, async () => {
      // By itself it waits a minute for watches, turning everything else away.
      const stopped = cluster.stopApiServer({ graceful: true });
      await sleep(3_000);
      await cluster.stopApiServer();
      await stopped;
    });
  });

  test('is away for longer than the lease, so that the leader gives up', async () => {
    const scene = await prepare('long');
    const names = await scene.burst('agent', SESSIONS / 2, 'before');
    await scene.kube.sessionInPhase('before-2', 'Running', 'Ended');
    const leader = scene.currentController();
    await cluster.stopApiServer();
    expect(await leader.exited()).toBe(1);
    await sleep(5_000);
    const during = scene.burst('agent', SESSIONS / 2, 'during');
    await cluster.startApiServer();
    names.push(...(await during));
    await expectAllRan(scene, names, 'a long outage');
  });
});
