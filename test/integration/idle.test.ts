import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { isMutation } from '../support/proxied-call.ts';
import { Stage } from '../support/stage.ts';
import { isUpkeep, untilQuiet } from '../support/upkeep.ts';

/** Idle means idle. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'idle');
});

afterAll(() => stage?.close());

const IDLE_MS = 60_000;

test('with Sessions in every phase and nothing happening, only leases are written for 60 s, and nothing is read but its keys and what it publishes', async () => {
  const scene = await stage.scene('all');
  const proxy = await ChaosProxy.start(stage.cluster);
  await scene.leader({ proxy });
  await scene.agent('busy', 3, { whenFull: 'Queue', queueTimeoutSeconds: 3600 }, {});
  await scene.agent('short', 10);
  await scene.agent('stuck', 1, {}, { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } });
  await scene.agent('stalled', 1, { podTemplate: { spec: { hostNetwork: true } } });
  await scene.httpAgent('warm', 5, { scaling: { minAgents: 2, maxAgents: 5 } }, {});
  await scene.burst('busy', 8, 'busy');
  await scene.burst('stuck', 1, 'stuck', { maxSessionDuration: 3600 });
  await scene.burst('stalled', 2, 'rejected');
  await scene.burst('warm', 2, 'call');
  await scene.settled(await scene.burst('short', 10, 'ended'));
  await scene.kube.sessionWhen('stuck-0', 'waiting', (session) => session.status?.reason === 'ImagePullFailed');

  await untilQuiet(proxy);
  const arrived = proxy.calls.length;
  await sleep(IDLE_MS);
  const calls = proxy.calls.slice(arrived);
  expect(calls.filter((call) => !isUpkeep(call)).map(({ what }) => what)).toEqual([]);
  console.log(`${calls.filter(isMutation).length} lease renewals in ${IDLE_MS / 1000} s, and nothing else`);
  expect(calls.filter(isMutation).length).toBeLessThanOrEqual(31);
  const phases = [...(await scene.replay()).sessions.values()].map(({ status }) => status?.phase);
  expect(new Set(phases)).toEqual(new Set(['Running', 'Pending', 'Starting', 'Rejected', 'Ended']));
  await proxy.close();
});
