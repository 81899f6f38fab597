import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy, type Fault, type ProxiedCall } from '../support/chaos-proxy.ts';
import { isMutation } from '../support/proxied-call.ts';
import { chooseSeed, seeded } from '../support/random.ts';
import { Stage } from '../support/stage.ts';

/** Replies and requests that get lost: what may have been done is neither done twice nor forgotten. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'lost');
});

afterAll(() => stage?.close());

const isWork = (call: ProxiedCall): boolean => isMutation(call) && call.resource !== 'leases';

interface Case {
  what: string;
  fault: Fault;
  matches: (call: ProxiedCall) => boolean;
  share: number;
}

const cases: Case[] = [
  { what: 'replies to pod creations', fault: 'lose-reply', matches: ({ what }) => what === 'POST pods', share: 0.5 },
  { what: 'pod creations', fault: 'lose-request', matches: ({ what }) => what === 'POST pods', share: 0.5 },
  {
    what: 'replies to status writes',
    fault: 'lose-reply',
    matches: ({ what }) => what === 'PATCH sessions/status',
    share: 0.5,
  },
  { what: 'replies to all writes', fault: 'lose-reply', matches: isWork, share: 0.3 },
  { what: 'replies to all writes, without a word', fault: 'silence', matches: isWork, share: 0.1 },
];

describe.concurrent('while the network loses', () => {
  const seed = chooseSeed('lost replies');
  test.for(cases)('$what, the cap holds and every Session runs once', async ({ what, fault, matches, share }) => {
    const random = seeded(seed);
    const scene = await stage.scene(what.replaceAll(/[^a-z]+/g, '-'));
    await scene.agent('agent', 4, { whenFull: 'Queue', queueTimeoutSeconds: 600 });
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    const rule = proxy.when((call) => matches(call) && random() < share, fault);
    const since = Date.now();
    const names = await scene.burst('agent', 16);
    await scene.settled(names);
    const { violations, podsCreated, sessions } = await scene.replay();
    console.log(`${what}: ${rule.hits} lost, settled after ${((Date.now() - since) / 1000).toFixed(1)} s`);
    expect(rule.hits).toBeGreaterThan(0);
    expect(violations).toEqual([]);
    expect(podsCreated).toBe(names.length);
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    await proxy.close();
  });

  test('replies to pod creations, a newcomer is rejected rather than let in over the cap', async () => {
    const scene = await stage.scene('newcomer');
    await scene.agent('agent', 2, { whenFull: 'Reject' }, {});
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    // The pods exist and the controller has no way of knowing: neither a reply nor an event.
    proxy.watches('pods').freeze();
    proxy.when('POST pods', 'lose-reply');
    await scene.burst('agent', 2, 'first');
    const [newcomer = ''] = await scene.burst('agent', 1, 'newcomer');
    const { status } = await scene.kube.sessionInPhase(newcomer, 'Rejected');
    expect(status?.reason).toBe('AtCapacity');
    // A fresh read settles what became of the requests, without any event.
    await Promise.all(['first-0', 'first-1'].map((name) => scene.kube.sessionInPhase(name, 'Starting', 'Running')));
    proxy.watches('pods').thaw();
    await Promise.all(['first-0', 'first-1'].map((name) => scene.kube.sessionInPhase(name, 'Running')));
    const { violations, podsCreated } = await scene.replay();
    expect(violations).toEqual([]);
    expect(podsCreated).toBe(2);
    await proxy.close();
  });
});
