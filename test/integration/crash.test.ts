import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy, type Fault, type ProxiedCall } from '../support/chaos-proxy.ts';
import { chooseSeed, seeded } from '../support/random.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** A controller that is killed in the middle of a burst, and started again: nothing is lost, nothing happens twice. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'crash');
});

afterAll(() => stage?.close());

const MAX_AGENTS = 3;
const SESSIONS = 12;

/** Right before a write, and right after it when its reply has not come. */
const moments = { before: 'lose-request', after: 'lose-reply' } as const satisfies Record<string, Fault>;

const writes: Record<string, (call: ProxiedCall) => boolean> = {
  'a pod is created': ({ what }) => what === 'POST pods',
  'the status of a Session is written': ({ what }) => what === 'PATCH sessions/status',
  'the end of a Session is written': ({ what, body }) =>
    what === 'PATCH sessions/status' && JSON.stringify(body).includes('"phase":"Ended"'),
  'a pod is let go': ({ what, body }) => what === 'PATCH pods' && JSON.stringify(body).includes('finalizers'),
};

const killPoints = Object.entries(writes).flatMap(([write, matches]) =>
  Object.entries(moments).map(([moment, fault]) => ({ moment, write, matches, fault })),
);

async function prepare(name: string): Promise<Scene> {
  const scene = await stage.scene(name);
  await scene.agent('agent', MAX_AGENTS, { whenFull: 'Queue', queueTimeoutSeconds: 600 });
  return scene;
}

/** Everybody has run once, whatever happened. */
async function expectAllRan(scene: Scene, names: string[]): Promise<void> {
  await scene.settled(names);
  const { violations, podsCreated, peaks, sessions } = await scene.replay();
  expect(violations).toEqual([]);
  expect(podsCreated).toBe(SESSIONS);
  // Never more. That the cap is reached says capacity.test.ts: here, pods may be over before the next one is there.
  expect(peaks['agent']?.pods).toBeLessThanOrEqual(MAX_AGENTS);
  expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(Array(SESSIONS).fill('Completed'));
}

describe.concurrent('a controller that is killed (SIGKILL) in the middle of a burst, and started again', () => {
  test.for(killPoints)('right $moment $write', async ({ moment, write, matches, fault }) => {
    const scene = await prepare(`${moment}-${Object.keys(writes).indexOf(write)}`);
    const proxy = await ChaosProxy.start(stage.cluster);
    const first = await scene.leader({ proxy });
    let seen = 0;
    // Not the first one: the burst is under way by then.
    const rule = proxy.when((call) => matches(call) && ++seen === 4, fault, {
      times: 1,
      onHit: () => void first.kill(),
    });
    const names = await scene.burst('agent', SESSIONS);
    await rule.struck;
    await first.exited();
    await scene.controller();
    await expectAllRan(scene, names);
    await proxy.close();
  });

  const seed = chooseSeed('kill points');
  test.for([1, 2])('at any moment (%i)', async (number) => {
    const random = seeded(seed + number);
    const scene = await prepare(`random-${number}`);
    const first = await scene.leader();
    const burst = scene.burst('agent', SESSIONS);
    await sleep(random() * 3000);
    await first.kill();
    await scene.controller();
    await expectAllRan(scene, await burst);
  });
});
