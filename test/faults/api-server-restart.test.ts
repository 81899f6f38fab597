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

/** Kubernetes' own controllers, without which no pod is made, come back in their own time: on a machine with two cores in up to 2 min. */
const BACK_MS = 300_000;
const TEST = { timeout: 480_000 };

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
  await scene.settled(names, BACK_MS);
  const { violations, podsCreated, peaks, sessions, revisions } = await scene.replay();
  console.log(
    `${what}: settled ${((Date.now() - since) / 1000).toFixed(1)} s after it was back, over ${revisions} revisions`,
  );
  expect(violations).toEqual([]);
  expect(podsCreated).toBe(names.length);
  expect(peaks['agent']?.pods).toBeLessThanOrEqual(MAX_AGENTS);
  expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
}

/** Sessions are asked for before, and by somebody who keeps trying while the API server is away. */
async function restartInTheMiddle(scene: Scene, stop: () => Promise<void>): Promise<void> {
  const names = await scene.burst('agent', SESSIONS / 2, 'before');
  await scene.kube.sessionInPhase('before-2', 'Running', 'Ended');
  const since = Date.now();
  const stopped = stop();
  const during = scene.burst('agent', SESSIONS / 2, 'during');
  await stopped;
  await cluster.startApiServer();
  const away = `away for ${((Date.now() - since) / 1000).toFixed(1)} s`;
  names.push(...(await during));
  await expectAllRan(scene, names, away);
}

describe.skipIf(cluster.provider !== 'binaries')('when in the middle of a burst the API server', () => {
  test('is killed and started again', TEST, async () => {
    await restartInTheMiddle(await prepare('killed'), () => cluster.stopApiServer());
  });

  test('shuts down, and is away for so long that the leader gives up', TEST, async () => {
    const scene = await prepare('long');
    const leader = scene.currentController();
    await restartInTheMiddle(scene, async () => {
      // By itself it would wait a minute for watches, turning everything else away; its kubelet is not so patient.
      const stopped = cluster.stopApiServer({ graceful: true });
      await sleep(2_000);
      await cluster.stopApiServer();
      await stopped;
      expect(await leader.exited()).toBe(1);
    });
  });
});
