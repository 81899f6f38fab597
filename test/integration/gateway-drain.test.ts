import { Pool } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ask, knownKey, PATIENT, readyAgent, sessionsOf, START } from '../support/rest.ts';
import { Stage } from '../support/stage.ts';

/** A gateway that is told to end (SIGTERM), as at every rollout, while it is being used. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'gwdrain', { nodes: 4 });
});
afterAll(() => stage?.close());

const WAITING = 5;

test('drops no request of those who wait or go on asking, and ends as soon as all have been answered', async () => {
  const scene = await stage.scene('sigterm');
  const [gateway, controller] = await Promise.all([scene.gateway({ config: PATIENT }), scene.leader()]);
  await readyAgent(scene, WAITING);
  const key = await knownKey(scene, [gateway]);
  const own = await knownKey(scene, [gateway], 'Private');
  // Nobody decides, so they wait.
  await controller.stop();
  // Connections that are kept, as those of a load balancer are.
  const kept = new Pool(gateway.origin, { connections: 2 * WAITING });
  const starts = Promise.all(Array.from({ length: WAITING }, () => ask(kept, 'POST', START, { key })));
  await waitFor(async () => (await sessionsOf(scene)).length === WAITING, {
    what: 'starts to wait',
    timeoutMs: 30_000,
  });

  let draining = true;
  let asked = 0;
  const client = async (): Promise<void> => {
    while (draining) {
      expect(await ask(kept, 'GET', '/v1/agents', { key: own })).toMatchObject({ status: 200 });
      asked += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: WAITING }, client));
  const since = Date.now();
  const stopped = gateway.stop();
  await gateway.log('stopping');
  // For as long as it takes until nobody is sent here any more, it is as before, for new connections too.
  const before = asked;
  await waitFor(() => Promise.resolve(asked > before + 30), { what: 'requests to be served', timeoutMs: 4_000 });
  draining = false;
  await clients;
  await scene.leader();
  const answers = await starts;
  const answered = Date.now();
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  await stopped;
  expect(await gateway.exited()).toBe(0);
  console.log(
    `${String(asked)} requests; answered after ${String(answered - since)} ms, ended ${String(Date.now() - answered)} ms later`,
  );
  // A connection that nobody uses must not keep it: less than the time for which one is kept.
  expect(Date.now() - Math.max(answered, since + 5_000)).toBeLessThan(15_000);
  await kept.close();
});
