import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy, type Fault } from '../support/chaos-proxy.ts';
import { Stage } from '../support/stage.ts';

/** An API server that answers nothing but errors for a while: nothing is lost, and it is not hammered meanwhile. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'storm');
});

afterAll(() => stage?.close());

const STORM_MS = 6_000;
const SESSIONS = 16;

const storms: [string, Fault][] = [
  ['429 of flow control, Retry-After: 1', { status: 429, retryAfter: 1 }],
  ['429 as a Status, Retry-After: 1', { status: 429, retryAfter: 1, asStatus: 'TooManyRequests' }],
  ['500', { status: 500, asStatus: 'InternalError' }],
  ['503 of a proxy', { status: 503 }],
  ['504', { status: 504, asStatus: 'Timeout' }],
];

describe.concurrent('an API server that answers everything', () => {
  test.for(storms)('with %s, for seconds', async ([what, fault]) => {
    const scene = await stage.scene(what.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'));
    await scene.agent('agent', 4, { whenFull: 'Queue', queueTimeoutSeconds: 600 });
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    const names = await scene.burst('agent', SESSIONS / 2, 'before');
    await scene.kube.sessionInPhase('before-0', 'Starting', 'Running', 'Ended');

    // Not the lease: who leads is another test's question.
    const storm = proxy.when(({ resource }) => resource !== 'leases', fault);
    const since = Date.now();
    names.push(...(await scene.burst('agent', SESSIONS / 2, 'during')));
    await sleep(STORM_MS);
    storm.end();
    const seconds = (Date.now() - since) / 1000;
    const perSecond = storm.hits / seconds;

    await scene.settled(names);
    const { violations, podsCreated, sessions } = await scene.replay();
    console.log(
      `${what}: ${storm.hits} calls in ${seconds.toFixed(1)} s, settled ${((Date.now() - since) / 1000 - seconds).toFixed(1)} s later`,
    );
    expect(violations).toEqual([]);
    expect(podsCreated).toBe(SESSIONS);
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    expect(perSecond).toBeLessThan(40);
    await proxy.close();
  });
});
