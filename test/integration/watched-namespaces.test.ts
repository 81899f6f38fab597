import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { controllerAccount, grantRights } from '../support/controller-account.ts';
import { Stage } from '../support/stage.ts';

/** A controller with rights in named namespaces only, as with the chart's `watch.namespaces`, when one of them is deleted. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'watched');
});

afterAll(() => stage?.close());

test('a watched namespace that is deleted, and its rights with it, holds up neither the leader nor the next one', async () => {
  const { cluster } = stage;
  const stays = await stage.scene('stays');
  const goes = await stage.scene('goes');
  const watchNamespaces = [stays.namespace, goes.namespace];
  // Its release is in one of them, as with a gateway it may not be.
  const values = { watch: { namespaces: watchNamespaces }, gateway: { enabled: false } };
  const account = await controllerAccount(cluster, stays.namespace, values);
  const options = { watchNamespaces, account };
  await stays.agent('agent', 5);
  await goes.agent('agent', 5);
  const first = await stays.leader(options);
  await stays.settled(await stays.burst('agent', 1, 'before'));
  await goes.settled(await goes.burst('agent', 1, 'before'));
  // One that is in the middle of its life when its namespace goes.
  await goes.agent('endless', 5, {}, {});
  await goes.burst('endless', 1, 'caught');
  await goes.kube.sessionInPhase('caught-0', 'Running');

  await cluster.kubectl(['delete', 'namespace', goes.namespace, '--wait', '--timeout=180s']);
  await stays.settled(await stays.burst('agent', 1, 'present'));

  await first.stop();
  const next = await stays.leader(options);
  expect(await next.isReady()).toBe(true);
  await stays.settled(await stays.burst('agent', 1, 'next'));

  // It comes back, and the rights with the next `helm upgrade`.
  await goes.reopen();
  await grantRights(cluster, stays.namespace, values);
  await goes.agent('agent', 5);
  await goes.settled(await goes.burst('agent', 1, 'again'));
  for (const scene of [stays, goes]) expect((await scene.replay()).violations).toEqual([]);
}, 600_000);
