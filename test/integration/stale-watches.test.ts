import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { expectAllRan } from '../support/expect-all-ran.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** A controller that sees the cluster late, or not at all for a while: the cap holds and nothing is started twice. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'stale');
});

afterAll(() => stage?.close());

/** How long a watch is held back. */
const FROZEN_MS = 10_000;
const MAX_AGENTS = 4;
const SESSIONS = 16;
const POOL = 4;

async function prepare(name: string): Promise<{ scene: Scene; proxy: ChaosProxy }> {
  const scene = await stage.scene(name);
  await scene.agent('agent', MAX_AGENTS, { whenFull: 'Queue', queueTimeoutSeconds: 600 });
  const proxy = await ChaosProxy.start(stage.cluster);
  await scene.leader({ proxy });
  return { scene, proxy };
}

describe.concurrent('in the middle of a burst', () => {
  test.for(['pods', 'sessions', 'agents'])('the watch of %s is frozen for 10 s', async (resource) => {
    const { scene, proxy } = await prepare(`frozen-${resource}`);
    const early = await scene.burst('agent', SESSIONS / 2, 'early');
    proxy.watches(resource).freeze();
    const late = await scene.burst('agent', SESSIONS / 2, 'late');
    await sleep(FROZEN_MS);
    proxy.watches(resource).thaw();
    await expectAllRan(scene, [...early, ...late]);
    await proxy.close();
  });

  test('the watch of pods is frozen for 10 s, while pods wait: each session is told once, and no more pods wait than should', async () => {
    const scene = await stage.scene('frozen-pool');
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    const scaling = { minAgents: POOL, maxAgents: 2 * POOL };
    const queue = { whenFull: 'Queue', queueTimeoutSeconds: 600 } as const;
    await scene.httpAgent('agent', 2 * POOL, { scaling, ...queue }, { bot: { afterMs: 1000 } });
    await scene.kube.warmPods('agent', POOL);
    const early = await scene.burst('agent', SESSIONS / 2, 'early');
    await scene.kube.sessionInPhase('early-0', 'Running', 'Ended');
    proxy.watches('pods').freeze();
    const late = await scene.burst('agent', SESSIONS / 2, 'late');
    await sleep(FROZEN_MS);
    proxy.watches('pods').thaw();
    await scene.settled([...early, ...late]);
    // It is full again.
    await scene.kube.warmPods('agent', POOL);
    const { violations, podsCreated, sessions } = await scene.replay();
    expect(violations).toEqual([]);
    // One for each session, and those that wait now. At one moment there may be more of these: while a pod is being claimed, the one that
    // takes its place is made.
    expect(podsCreated).toBe(SESSIONS + POOL);
    const ran = [...sessions.values()];
    expect(ran.map(({ status }) => status?.reason)).toEqual(ran.map(() => 'Completed'));
    expect(scene.told()).toEqual(ran.map(({ metadata }) => metadata.uid).sort());
    await proxy.close();
  });

  test('all watches are seconds late', async () => {
    const { scene, proxy } = await prepare('late');
    proxy.watches('pods').delayMs = 2000;
    proxy.watches('sessions').delayMs = 1000;
    proxy.watches('agents').delayMs = 3000;
    const names = await scene.burst('agent', SESSIONS / 2, 'first');
    names.push(...(await scene.burst('agent', SESSIONS / 2, 'second')));
    await expectAllRan(scene, names);
    await proxy.close();
  });

  test('all watches break again and again', async () => {
    const { scene, proxy } = await prepare('cut');
    const cutting = setInterval(() => {
      for (const resource of ['pods', 'sessions', 'agents']) proxy.watches(resource).cut();
    }, 700);
    const names = await scene.burst('agent', SESSIONS);
    await expectAllRan(scene, names).finally(() => clearInterval(cutting));
    await proxy.close();
  });

  test('the watches of pods and sessions expire (410), in the middle and at the beginning', async () => {
    const { scene, proxy } = await prepare('gone');
    const names = await scene.burst('agent', SESSIONS / 2, 'first');
    const resources = ['pods', 'sessions'];
    const refused = proxy.when(
      ({ watch, resource }) => watch && resources.includes(resource),
      { status: 410, asStatus: 'Expired' },
      { times: 2 },
    );
    for (const resource of resources) proxy.watches(resource).endWith(410);
    names.push(...(await scene.burst('agent', SESSIONS / 2, 'second')));
    await expectAllRan(scene, names);
    expect(refused.hits).toBe(2);
    await proxy.close();
  });
});
