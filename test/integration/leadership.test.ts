import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leases, pods } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { isMutation, type ProxiedCall } from '../support/proxied-call.ts';
import { expectAllRan } from '../support/expect-all-ran.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** Two controllers at once: one leads, the other stands by, and whatever happens to the leader, work goes on and is done once. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'leadership');
});

afterAll(() => stage?.close());

const SESSIONS = 12;
const POOL = 4;
const LEASE = 'bullpen-controller';

const isClaim = ({ what, body }: ProxiedCall): boolean =>
  what === 'PATCH pods' && JSON.stringify(body).includes('"busy"');

async function prepare(name: string): Promise<{ scene: Scene; proxy: ChaosProxy; first: ControllerProcess }> {
  const scene = await stage.scene(name);
  await scene.agent('agent', 3, { whenFull: 'Queue', queueTimeoutSeconds: 600 });
  const proxy = await ChaosProxy.start(stage.cluster);
  const first = await scene.leader({ proxy });
  return { scene, proxy, first };
}

const secondsSince = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

describe.concurrent('of two controllers', () => {
  test('one stands by and writes nothing, until the leader is killed in the middle of a burst', async () => {
    const { scene, first } = await prepare('killed');
    const proxy = await ChaosProxy.start(stage.cluster);
    const second = await scene.standby({ proxy });
    await scene.settled(await scene.burst('agent', 3, 'before'));
    expect(proxy.calls.filter(isMutation).map(({ what }) => what)).toEqual([]);
    const names = await scene.burst('agent', SESSIONS);
    await scene.kube.sessionInPhase('s-3', 'Starting', 'Running', 'Ended');
    await first.kill();
    const since = Date.now();
    await second.log('leading');
    console.log(`killed: the standby led after ${secondsSince(since)}`);
    // The lease has to run out, and then a request of the killed one that is still under way.
    expect(Date.now() - since).toBeGreaterThan(15_000);
    await expectAllRan(scene, [...names, 'before-0', 'before-1', 'before-2']);
    await proxy.close();
  });

  test('one that is frozen past its lease, and then goes on, writes nothing any more and exits', async () => {
    const { scene, proxy, first } = await prepare('frozen');
    const second = await scene.standby();
    const names = await scene.burst('agent', SESSIONS);
    await scene.kube.sessionInPhase('s-3', 'Starting', 'Running', 'Ended');
    first.freeze();
    await second.log('leading');
    await scene.settled(names);
    const more = await scene.burst('agent', SESSIONS, 'more');
    const arrived = proxy.calls.length;
    first.thaw();
    expect(await first.exited()).toBe(1);
    expect(
      proxy.calls
        .slice(arrived)
        .filter(isMutation)
        .map(({ what }) => what),
    ).toEqual([]);
    await expectAllRan(scene, [...names, ...more]);
    await proxy.close();
  });

  test('one that is frozen while its claims are held up, and another leads meanwhile and claims the same pods: each session is told once', async () => {
    const scene = await stage.scene('rivals');
    const scaling = { minAgents: POOL, maxAgents: POOL };
    const queue = { whenFull: 'Queue', queueTimeoutSeconds: 600 } as const;
    await scene.httpAgent('agent', POOL, { scaling, ...queue }, { bot: { afterMs: 2000 } });
    const proxy = await ChaosProxy.start(stage.cluster);
    const first = await scene.leader({ proxy });
    const contested = await scene.kube.warmPods('agent', POOL);
    const second = await scene.standby();
    const released = Promise.withResolvers<undefined>();
    const held: ProxiedCall[] = [];
    proxy.when(isClaim, { arrivesAfter: released.promise }, { onHit: (call) => held.push(call) });
    const names = await scene.burst('agent', SESSIONS);
    const claims = { what: 'the first to claim all pods', timeoutMs: 30_000 };
    await waitFor(() => Promise.resolve(held.length === POOL), claims);
    first.freeze();
    await second.log('leading');
    for (const { metadata } of contested)
      await scene.kube.when(
        pods,
        metadata.name,
        'busy',
        (pod) => pod.metadata.labels?.['bullpen.dev/state'] === 'busy',
      );
    released.resolve(undefined);
    const refused = { what: 'the claims of the first to arrive', timeoutMs: 30_000 };
    await waitFor(() => Promise.resolve(held.every(({ status }) => status !== undefined)), refused);
    expect(held.map(({ status }) => status)).toEqual(held.map(() => 422));
    expect(held.map(({ name }) => name).sort()).toEqual(contested.map(({ metadata }) => metadata.name).sort());
    const arrived = proxy.calls.length;
    first.thaw();
    expect(await first.exited()).toBe(1);
    expect(proxy.count(isMutation, arrived)).toBe(0);
    await scene.settled(names);
    const { violations, sessions } = await scene.replay();
    expect(violations).toEqual([]);
    const ran = [...sessions.values()];
    expect(ran.map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    expect(scene.told()).toEqual(ran.map(({ metadata }) => metadata.uid).sort());
    await proxy.close();
  });

  test('one that is told to stop (SIGTERM) in the middle of a burst hands over at once', async () => {
    const { scene, proxy, first } = await prepare('stopped');
    const second = await scene.standby();
    const names = await scene.burst('agent', SESSIONS);
    await scene.kube.sessionInPhase('s-3', 'Starting', 'Running', 'Ended');
    const since = Date.now();
    await first.stop();
    const released = Date.now();
    expect(await first.exited()).toBe(0);
    expect(first.lines.map(({ msg }) => msg)).toContain('released the lease');
    await second.log('leading');
    console.log(
      `stopped: released after ${((released - since) / 1000).toFixed(1)} s, the standby led after ${secondsSince(since)}`,
    );
    // The standby looks every 2 to 4.4 s. For a lease that it believes to be held it would wait 13 s at the least, and then for requests.
    expect(Date.now() - released).toBeLessThan(15_000);
    expect(second.lines.find(({ msg }) => msg === 'became the leader')).toMatchObject({ cleanHandover: true });
    await expectAllRan(scene, names);
    await proxy.close();
  });

  test('one that is told to stop while its creations go unanswered lets go of the lease only when they are settled', async () => {
    const { scene, proxy, first } = await prepare('unanswered');
    const second = await scene.standby();
    const rule = proxy.when('POST pods', 'silence', { times: 3 });
    const names = await scene.burst('agent', SESSIONS);
    await rule.struck;
    const since = Date.now();
    await first.stop();
    console.log(`unanswered: released after ${secondsSince(since)}`);
    expect(Date.now() - since).toBeGreaterThan(4_000);
    await second.log('leading');
    await expectAllRan(scene, names);
    await proxy.close();
  });

  test('one that cannot renew its lease stops writing and exits', async () => {
    const { scene, proxy, first } = await prepare('cut-off');
    const second = await scene.standby();
    const names = await scene.burst('agent', SESSIONS);
    await scene.kube.sessionInPhase('s-3', 'Starting', 'Running', 'Ended');
    proxy.when(({ resource }) => resource === 'leases', 'silence-before');
    const since = Date.now();
    // It gives up 10 s after its last renewal; another may take the lease after 15 s.
    const gone = first.exited().then(() => 'it has exited');
    const taken = second.log('became the leader').then(() => 'another leads');
    expect(await Promise.race([gone, taken])).toBe('it has exited');
    expect(await first.exited()).toBe(1);
    console.log(`cut off from its lease: exited after ${secondsSince(since)}`);
    await expectAllRan(scene, names);
    await proxy.close();
  });

  test('one whose lease another has taken exits at once', async () => {
    const { scene, proxy, first } = await prepare('robbed');
    const names = await scene.burst('agent', SESSIONS);
    const { namespace } = scene;
    const taken = {
      spec: { holderIdentity: 'somebody-else', renewTime: new Date().toISOString().replace('Z', '000Z') },
    };
    await scene.kube.api.patch(leases, { namespace, name: LEASE }, { type: 'merge', body: taken });
    const robbed = proxy.calls.length;
    const since = Date.now();
    expect(await first.exited()).toBe(1);
    console.log(`robbed of its lease: exited after ${secondsSince(since)}`);
    // It looked once why its renewal failed, and tried no more.
    expect(proxy.count(({ what }) => what === 'GET leases', robbed)).toBe(1);
    expect(proxy.count(({ what }) => what === 'PUT leases', robbed)).toBeLessThanOrEqual(1);
    await scene.standby();
    await expectAllRan(scene, names);
    await proxy.close();
  });
});
