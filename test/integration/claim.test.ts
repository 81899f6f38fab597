import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agents } from '../../src/api/resources.ts';
import { isInvalid } from '../../src/kube/errors.ts';
import { pods as podResource } from '../../src/kube/resources.ts';
import type { Binding } from '../../src/pods/binding.ts';
import { claimPatch } from '../../src/pods/claim.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy, type Fault, type ProxiedCall } from '../support/chaos-proxy.ts';
import { Stage, type Scene, type ScriptOf } from '../support/stage.ts';

/** Claims that go wrong: a pod never gets two Sessions, and a Session is never told to two agents. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'claim');
});
afterAll(() => stage?.close());

const CALL = { bot: { afterMs: 300 } };
/** So long that a controller which is behind still sees it run. */
const LONGER_CALL = { bot: { afterMs: 2_000 } };
const STAYS = {};

async function pool(
  scene: Scene,
  size: number,
  maxAgents: number,
  script: ScriptOf = CALL,
  agent = 'agent',
): Promise<void> {
  const scaling = { minAgents: size, maxAgents };
  await scene.httpAgent(agent, maxAgents, { scaling, whenFull: 'Queue', queueTimeoutSeconds: 600 }, script);
}

/** Nobody was told twice, and all that was promised held at every revision. */
async function expectToldOnce(scene: Scene): Promise<void> {
  const { violations } = await scene.replay();
  expect(violations).toEqual([]);
  const told = scene.deliveries().map(({ sessionUid }) => sessionUid);
  expect(told).toHaveLength(new Set(told).size);
}

const isClaim = ({ what, body }: ProxiedCall): boolean =>
  what === 'PATCH pods' && JSON.stringify(body).includes('"busy"');
const saysRunning = ({ what, body }: ProxiedCall): boolean =>
  what === 'PATCH sessions/status' && JSON.stringify(body).includes('"phase":"Running"');

describe.concurrent('a claim', () => {
  test('is won by one of two, and never on a pod that is being deleted', async () => {
    const scene = await stage.scene('race');
    const controller = await scene.leader();
    await pool(scene, 2, 5);
    const [contested, dying] = await scene.kube.warmPods('agent', 2);
    await controller.kill();
    if (contested === undefined || dying === undefined) throw new Error('there are two');
    const limits = {
      maxSessionDuration: 60,
      startTimeoutSeconds: 60,
      nodeLostAfterSeconds: 60,
      terminationGracePeriodSeconds: 5,
    };
    const claim = (pod: typeof contested, uid: string): Promise<unknown> => {
      const binding: Binding = {
        agent: 'agent',
        session: { name: `of-${uid}`, uid },
        admittedAt: new Date().toISOString(),
        attempt: 0,
        startKind: 'Warm',
        limits,
      };
      const ref = { namespace: scene.namespace, name: pod.metadata.name };
      return scene.kube.api.patch(podResource, ref, { type: 'json', ops: claimPatch(pod, binding, Date.now()) });
    };
    const results = await Promise.allSettled(['a', 'b', 'c', 'd'].map((uid) => claim(contested, uid)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.every((result) => result.status === 'fulfilled' || isInvalid(result.reason))).toBe(true);
    const finalizer = { metadata: { finalizers: ['example.com/held'] } };
    const ref = { namespace: scene.namespace, name: dying.metadata.name };
    const held = await scene.kube.api.patch(podResource, ref, { type: 'merge', body: finalizer });
    await scene.kube.api.delete(podResource, ref);
    await expect(claim(held, 'e')).rejects.toSatisfy(isInvalid);
  });

  test.for<[string, Fault]>([
    ['replies to claims', 'lose-reply'],
    ['claims', 'lose-request'],
  ])('whose network loses %s is made once', async ([what, fault]) => {
    const scene = await stage.scene(what.replaceAll(' ', '-'));
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    await pool(scene, 4, 8);
    await scene.kube.warmPods('agent', 4);
    let seen = 0;
    const rule = proxy.when((call) => isClaim(call) && ++seen % 2 === 1, fault);
    const names = await scene.burst('agent', 16);
    await scene.settled(names);
    expect(rule.hits).toBeGreaterThan(0);
    await expectToldOnce(scene);
    const { sessions } = await scene.replay();
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    await proxy.close();
  });

  test.for<[string, (call: ProxiedCall) => boolean, Fault]>([
    ['before a claim', isClaim, 'lose-request'],
    ['after a claim', isClaim, 'lose-reply'],
    ['before Running is written', saysRunning, 'lose-request'],
    ['after Running is written', saysRunning, 'lose-reply'],
  ])('survives a controller that is killed right %s', async ([when, matches, fault]) => {
    const scene = await stage.scene(`kill-${when.replaceAll(' ', '-').toLowerCase()}`);
    const proxy = await ChaosProxy.start(stage.cluster);
    const first = await scene.leader({ proxy });
    await pool(scene, 3, 6, LONGER_CALL);
    await scene.kube.warmPods('agent', 3);
    let seen = 0;
    const rule = proxy.when((call) => matches(call) && ++seen === 3, fault, {
      times: 1,
      onHit: () => void first.kill(),
    });
    const names = await scene.burst('agent', 12);
    await rule.struck;
    await first.exited();
    await scene.controller();
    await scene.settled(names);
    await expectToldOnce(scene);
    const { sessions } = await scene.replay();
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    await proxy.close();
  });

  test('of pods that are being deleted, of which nothing is known yet, fails and loses no session', async () => {
    const scene = await stage.scene('unaware');
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    const { kube, namespace } = scene;
    // They are there, and being deleted, until the claims have met them.
    await pool(scene, 4, 12, { ...CALL, stopMs: 60_000 });
    const waiting = await kube.warmPods('agent', 4);
    proxy.watches('pods').freeze();
    for (const { metadata } of waiting)
      await kube.api.delete(podResource, { namespace, name: metadata.name }, { gracePeriodSeconds: 60 });
    const names = await scene.burst('agent', 6);
    const refused = (): ProxiedCall[] => proxy.calls.filter((call) => isClaim(call) && call.status === 422);
    await waitFor(() => Promise.resolve(refused().length > 0), { what: 'claims to fail', timeoutMs: 60_000 });
    proxy.watches('pods').thaw();
    await scene.settled(names);
    await expectToldOnce(scene);
    const { sessions } = await scene.replay();
    for (const { status } of sessions.values()) expect(status?.reason).toBe('Completed');
    await proxy.close();
  });

  test('that races the deletion of the Agent puts no session on a dying pod', async () => {
    const scene = await stage.scene('dying');
    await scene.leader();
    const { kube, namespace } = scene;
    /** The Agent goes when it has got so many of its Sessions. */
    const race = async (agent: string, before: number): Promise<void> => {
      await pool(scene, 4, 8, CALL, agent);
      await kube.warmPods(agent, 4);
      const early = await scene.burst(agent, before, `${agent}-early`);
      const late = scene.burst(agent, 6 - before, `${agent}-late`);
      await kube.api.delete(agents, { namespace, name: agent });
      await scene.settled([...early, ...(await late)]);
      await kube.gone(agents, agent);
    };
    const rounds = 4;
    for (let round = 0; round < rounds; round += 1)
      await Promise.all([0, 2, 4, 6].map((before) => race(`agent-${round}-${before}`, before)));
    await expectToldOnce(scene);
    const { sessions } = await scene.replay();
    const ends = [...sessions.values()].map(({ status }) => status?.reason ?? '');
    expect(ends).toHaveLength(rounds * 4 * 6);
    // Claims won, and claims lost; nobody got a pod that was about to go.
    expect(ends.filter((end) => !['Completed', 'AgentNotFound', 'AgentDeleting'].includes(end))).toEqual([]);
    expect(new Set(ends).size).toBeGreaterThan(1);
  });
});

describe.concurrent('a session whose pod fails', () => {
  test('with its supervisor out of reach gets another pod, for nothing was sent', async () => {
    const scene = await stage.scene('unreachable');
    await scene.leader();
    await pool(scene, 1, 5);
    const [lame] = await scene.kube.warmPods('agent', 1);
    scene.script('agent', ({ metadata }) =>
      metadata.name === lame?.metadata.name ? { supervisor: 'unreachable' as const } : CALL,
    );
    await scene.kube.createSession('call', { agent: 'agent' });
    const ended = await scene.kube.sessionInPhase('call', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', attempt: 1 });
    expect(ended.status?.podName).not.toBe(lame?.metadata.name);
    await expectToldOnce(scene);
  });

  test('because its address is that of another pod by now gets one more, and nothing is told to the other', async () => {
    const scene = await stage.scene('address');
    await scene.leader();
    await pool(scene, 1, 5);
    await pool(scene, 1, 5, CALL, 'other');
    const [wrong] = await scene.kube.warmPods('agent', 1);
    const [other] = await scene.kube.warmPods('other', 1);
    const { podIP, podIPs } = other?.status ?? {};
    const ref = { namespace: scene.namespace, name: wrong?.metadata.name ?? '' };
    const body = { status: { podIP, podIPs } };
    await scene.kube.api.patch(podResource, ref, { type: 'merge', body }, { subresource: 'status' });
    await scene.kube.createSession('call', { agent: 'agent' });
    // Long before its start timeout of two minutes, which this test does not wait for.
    const { status } = await scene.kube.sessionInPhase('call', 'Ended');
    expect(status).toMatchObject({ reason: 'Completed', attempt: 1 });
    expect(status?.podName).not.toBe(wrong?.metadata.name);
    expect(scene.deliveries(wrong?.metadata.name)).toEqual([]);
    expect(scene.deliveries(other?.metadata.name)).toEqual([]);
    const [still] = await scene.kube.warmPods('other', 1);
    expect(still?.metadata.uid).toBe(other?.metadata.uid);
    await scene.kube.createSession('next', { agent: 'other' });
    const next = await scene.kube.sessionInPhase('next', 'Ended');
    expect(next.status).toMatchObject({ reason: 'Completed', podName: other?.metadata.name });
    await expectToldOnce(scene);
  });

  test('after its agent was told, and before that was known, is Lost and not started again', async () => {
    const scene = await stage.scene('doubt');
    await scene.leader();
    await pool(scene, 1, 5, STAYS);
    const [pod] = await scene.kube.warmPods('agent', 1);
    const name = pod?.metadata.name ?? '';
    scene.script('agent', { supervisor: { delayMs: 30_000 } });
    await scene.kube.createSession('call', { agent: 'agent' });
    await waitFor(() => Promise.resolve(scene.deliveries(name).length === 1), {
      what: 'the agent to be told',
      timeoutMs: 30_000,
      intervalMs: 20,
    });
    stage.kubelet.exit(scene.namespace, name, { code: 137 }, 'supervisor');
    const ended = await scene.kube.sessionInPhase('call', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Lost', podName: name });
    expect(scene.deliveries()).toHaveLength(1);
    await expectToldOnce(scene);
  });

  test('in a pod with an old out-of-memory record is not blamed for that', async () => {
    const scene = await stage.scene('old-record');
    await scene.leader();
    await pool(scene, 1, 3, STAYS);
    const [pod] = await scene.kube.warmPods('agent', 1);
    const name = pod?.metadata.name ?? '';
    stage.kubelet.exit(scene.namespace, name, { code: 137, reason: 'OOMKilled' });
    await waitFor(
      async () => {
        const { status } = await scene.kube.pod(name);
        const agent = status.initContainerStatuses?.find((container) => container.name === 'agent');
        return agent?.restartCount === 1 && agent.state?.running !== undefined;
      },
      { what: 'the agent to be started again', timeoutMs: 30_000 },
    );
    await scene.kube.warmPods('agent', 1);
    scene.script('agent', { bot: { crash: { code: 7 }, afterMs: 100 } });
    await scene.kube.createSession('call', { agent: 'agent' });
    const ended = await scene.kube.sessionInPhase('call', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Failed', exitCode: 7, podName: name });
  });

  test('because two are bound to it runs in one of them', async () => {
    const scene = await stage.scene('twins');
    const proxy = await ChaosProxy.start(stage.cluster);
    const first = await scene.leader({ proxy });
    await pool(scene, 2, 5);
    const warm = await scene.kube.warmPods('agent', 2);
    const rule = proxy.when(isClaim, 'lose-reply', { times: 1, onHit: () => void first.kill() });
    const session = await scene.kube.createSession('call', { agent: 'agent' });
    await rule.struck;
    await first.exited();
    const bound = (await scene.kube.api.list(podResource, { namespace: scene.namespace })).items.find(
      ({ metadata }) => metadata.labels?.['bullpen.dev/session'] === 'call',
    );
    const other = warm.find(({ metadata }) => metadata.name !== bound?.metadata.name);
    if (other === undefined) throw new Error('there are two');
    const { name, uid } = session.metadata;
    const binding: Binding = {
      agent: 'agent',
      session: { name, uid },
      admittedAt: new Date().toISOString(),
      attempt: 0,
      startKind: 'Warm',
      limits: {
        maxSessionDuration: 60,
        startTimeoutSeconds: 60,
        nodeLostAfterSeconds: 60,
        terminationGracePeriodSeconds: 5,
      },
    };
    const ref = { namespace: scene.namespace, name: other.metadata.name };
    await scene.kube.api.patch(podResource, ref, { type: 'json', ops: claimPatch(other, binding, Date.now()) });
    await scene.controller();
    await scene.settled(['call']);
    expect((await scene.kube.session('call')).status).toMatchObject({ reason: 'Completed' });
    expect(scene.deliveries()).toHaveLength(1);
    await proxy.close();
  });
});
