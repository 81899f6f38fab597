import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agents, sessions } from '../../src/api/resources.ts';
import type { Agent } from '../../src/api/agent.ts';
import { nodes, pods as podResource } from '../../src/kube/resources.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { Stage, type Scene, type ScriptOf } from '../support/stage.ts';

/** The warm pool on a real control plane: what is kept, who gets it, and what becomes of it. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'pool');
});
afterAll(() => stage?.close());

const STAYS = {};
const revisionOf = ({ metadata }: Pod): string => metadata.labels?.['bullpen.dev/revision'] ?? '';
const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name).sort();

async function agentWhen(scene: Scene, what: string, holds: (agent: Agent) => boolean): Promise<Agent> {
  let agent: Agent | undefined;
  await waitFor(
    async () => {
      agent = await scene.kube.api.get(agents, { namespace: scene.namespace, name: 'agent' });
      return holds(agent);
    },
    { what: `the Agent: ${what}`, timeoutMs: 60_000, intervalMs: 100 },
  ).catch((cause: unknown) => {
    throw new Error(`the Agent says ${JSON.stringify(agent?.status)}`, { cause });
  });
  return agent as Agent;
}

async function patchAgent(scene: Scene, body: object): Promise<void> {
  await scene.kube.api.patch(agents, { namespace: scene.namespace, name: 'agent' }, { type: 'merge', body });
}

const condition = (agent: Agent, type: string) => agent.status?.conditions?.find((entry) => entry.type === type);

describe.concurrent('the warm pool', () => {
  test('serves 100 Sessions at once on 20 warm pods: each is told once, and there are never more pods than allowed', async () => {
    const scene = await stage.scene('hundred');
    await scene.leader();
    await scene.httpAgent('agent', 110, { scaling: { minAgents: 20, maxAgents: 110 } }, { bot: { afterMs: 3000 } });
    await scene.kube.warmPods('agent', 20);
    const made = await scene.burst('agent', 100);
    await scene.settled(made);
    const { violations, sessions: found, peaks } = await scene.replay();
    expect(violations).toEqual([]);
    expect(peaks['agent']?.pods).toBeLessThanOrEqual(110);
    const told = scene.deliveries().map(({ sessionUid }) => sessionUid);
    expect(told).toHaveLength(100);
    expect(new Set(told)).toEqual(new Set([...found.values()].map(({ metadata }) => metadata.uid)));
    expect([...found.values()].map(({ status }) => status?.reason)).toEqual(Array(100).fill('Completed'));
    const warm = [...found.values()].filter(({ status }) => status?.startKind === 'Warm');
    expect(warm.length).toBeGreaterThanOrEqual(20);
  });

  test('gives a start a pod that is still starting, when the cap leaves no other', async () => {
    const scene = await stage.scene('starting');
    await scene.leader();
    await scene.httpAgent(
      'agent',
      2,
      { scaling: { minAgents: 2, maxAgents: 2 } },
      { readyDelayMs: 4000, bot: { afterMs: 100 } },
    );
    await agentWhen(scene, 'is seen', ({ status }) => status?.observedGeneration === 1);
    await waitFor(
      async () => (await scene.kube.api.list(podResource, { namespace: scene.namespace })).items.length === 2,
      {
        what: 'two pods',
        timeoutMs: 30_000,
        intervalMs: 50,
      },
    );
    await scene.kube.createSession('early', { agent: 'agent' });
    const ended = await scene.kube.sessionInPhase('early', 'Ended', 'Rejected');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind: 'Warm' });
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('follows minAgents up at once and down after the cooldown, and a change of scaling makes no revision', async () => {
    const scene = await stage.scene('scaling');
    await scene.leader();
    const scaling = { minAgents: 1, maxAgents: 10, cooldownSeconds: 1 };
    await scene.httpAgent('agent', 10, { scaling }, STAYS);
    const [first] = await scene.kube.warmPods('agent', 1);
    const { status } = await agentWhen(scene, 'has a revision', (agent) => agent.status?.revision !== undefined);
    await patchAgent(scene, { spec: { scaling: { minAgents: 4 } } });
    expect(names(await scene.kube.warmPods('agent', 4))).toContain(first?.metadata.name);
    await patchAgent(scene, { spec: { scaling: { minAgents: 2 } } });
    await scene.kube.warmPods('agent', 2);
    const after = await agentWhen(scene, 'is up to date', (agent) => agent.status?.observedGeneration === 3);
    expect(after.status?.revision).toBe(status?.revision);
  });

  test('keeps a buffer beyond the sessions that are active', async () => {
    const scene = await stage.scene('buffer');
    await scene.leader();
    await scene.httpAgent('agent', 10, { scaling: { maxAgents: 10, buffer: { percent: 50 } } }, STAYS);
    await scene.burst('agent', 4);
    await scene.kube.warmPods('agent', 2);
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('is rolled to a new revision, while a session finishes on its own', async () => {
    const scene = await stage.scene('rollout');
    await scene.leader();
    await scene.httpAgent('agent', 5, { scaling: { minAgents: 2, maxAgents: 5 } }, STAYS);
    const before = await scene.kube.warmPods('agent', 2);
    await scene.kube.createSession('call', { agent: 'agent' });
    const running = await scene.kube.sessionInPhase('call', 'Running');
    await scene.kube.warmPods('agent', 2);
    await patchAgent(scene, { metadata: { annotations: { 'bullpen.dev/redeploy': 'now' } } });
    const agent = await agentWhen(scene, 'is rolled', (found) => condition(found, 'Reconciling')?.status === 'True');
    await agentWhen(scene, 'has rolled', (found) => condition(found, 'Reconciling')?.status === 'False');
    const after = await scene.kube.warmPods('agent', 2);
    expect(names(after).filter((name) => names(before).includes(name))).toEqual([]);
    for (const { metadata } of after) expect(metadata.labels?.['bullpen.dev/revision']).toBe(agent.status?.revision);
    expect((await scene.kube.session('call')).status).toMatchObject({
      phase: 'Running',
      podName: running.status?.podName,
    });
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('is rolled under load: every Session runs once, and new ones get pods of the new revision', async () => {
    const scene = await stage.scene('rolling');
    await scene.leader();
    const spec = { scaling: { minAgents: 4, maxAgents: 20 } };
    await scene.httpAgent(
      'agent',
      20,
      { ...spec, whenFull: 'Queue', queueTimeoutSeconds: 600 },
      { bot: { afterMs: 500 } },
    );
    await scene.kube.warmPods('agent', 4);
    const made: string[] = [];
    for (const image of ['new:2', 'new:3']) {
      made.push(...(await scene.burst('agent', 15, `before-${image.slice(-1)}`)));
      await patchAgent(scene, { spec: { image } });
      made.push(...(await scene.burst('agent', 15, `after-${image.slice(-1)}`)));
    }
    await scene.settled(made);
    await agentWhen(scene, 'has rolled', (found) => condition(found, 'Reconciling')?.status === 'False');
    const { violations, sessions: found } = await scene.replay();
    expect(violations).toEqual([]);
    expect([...found.values()].map(({ status }) => status?.reason)).toEqual(made.map(() => 'Completed'));
    const told = scene.deliveries().map(({ sessionUid }) => sessionUid);
    expect(new Set(told).size).toBe(made.length);
    expect(told).toHaveLength(made.length);
    const { status } = await agentWhen(scene, 'has a revision', (agent) => agent.status?.revision !== undefined);
    for (const { metadata } of await scene.kube.warmPods('agent', 4))
      expect(metadata.labels?.['bullpen.dev/revision']).toBe(status?.revision);
  });

  /** Pods of an image that cannot be pulled, and others that stay. */
  const brokenOnes: ScriptOf = (pod) =>
    pod.spec.initContainers?.some(({ image }) => image?.startsWith('broken:'))
      ? { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } }
      : STAYS;

  /** Breaks an Agent that runs well, and waits until its pool says so and has turned to the revision before, which is returned. */
  async function breakAgent(scene: Scene): Promise<string> {
    const before = await agentWhen(
      scene,
      'has a good revision',
      ({ status }) => status?.lastReadyRevision !== undefined,
    );
    await patchAgent(scene, { spec: { image: 'broken:1' } });
    const after = await agentWhen(scene, 'serves the revision before', (found) =>
      (condition(found, 'Reconciling')?.message ?? '').includes('the revision before serves'),
    );
    expect(condition(after, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ImagePullFailed',
      message: expect.stringMatching(/no such image.*until then Sessions get pods of the revision before$/) as string,
    });
    expect(after.status?.lastReadyRevision).toBe(before.status?.revision);
    return before.status?.revision ?? '';
  }

  /** Repairs it, and waits until only pods of the new revision wait, so many. */
  async function repairAgent(scene: Scene, count: number): Promise<void> {
    await patchAgent(scene, { spec: { image: 'good:2' } });
    const { status } = await agentWhen(
      scene,
      'is ready again and has rolled',
      (found) =>
        condition(found, 'Ready')?.status === 'True' &&
        condition(found, 'Reconciling')?.status === 'False' &&
        found.status?.lastReadyRevision === found.status?.revision,
    );
    await waitFor(
      async () => {
        const waiting = await waitingPods(scene);
        return waiting.length === count && waiting.every((pod) => revisionOf(pod) === status?.revision);
      },
      { what: 'the pool to be of the new revision', timeoutMs: 30_000, intervalMs: 100 },
    );
  }

  async function waitingPods(scene: Scene): Promise<Pod[]> {
    const { items } = await scene.kube.api.list(podResource, {
      namespace: scene.namespace,
      labelSelector: 'bullpen.dev/state=warm',
    });
    return items;
  }

  /** Sessions one after the other; each runs on a pod of this revision. */
  async function startsOn(scene: Scene, revision: string, names: string[], startKind: string): Promise<void> {
    for (const name of names) {
      await scene.kube.createSession(name, { agent: 'agent' });
      const { status } = await scene.kube.sessionInPhase(name, 'Running', 'Ended', 'Rejected');
      expect(status).toMatchObject({ phase: 'Running', startKind });
      expect(revisionOf(await scene.kube.pod(status?.podName ?? ''))).toBe(revision);
    }
  }

  test('leaves the last good revision serving, for as many Sessions as come and over a change of the leader, until a good one rolls', async () => {
    const scene = await stage.scene('lastgood');
    const first = await scene.leader();
    await scene.httpAgent('agent', 8, { scaling: { minAgents: 2, maxAgents: 8 } }, brokenOnes);
    await scene.kube.warmPods('agent', 2);
    const good = await breakAgent(scene);
    for (const name of ['a', 'b', 'c']) {
      await scene.kube.warmPods('agent', 2);
      await startsOn(scene, good, [name], 'Warm');
    }
    await first.kill();
    await scene.leader();
    for (const name of ['d', 'e']) {
      await scene.kube.warmPods('agent', 2);
      await startsOn(scene, good, [name], 'Warm');
    }
    // One of the broken revision is kept, to see whether it still is.
    await scene.kube.warmPods('agent', 2);
    await waitFor(async () => (await waitingPods(scene)).filter((pod) => revisionOf(pod) !== good).length === 1, {
      what: 'one pod of the broken revision to be tried',
      timeoutMs: 30_000,
      intervalMs: 100,
    });
    await repairAgent(scene, 2);
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('leaves it serving also where there is room for one pod only', async () => {
    const scene = await stage.scene('lastofone');
    const first = await scene.leader();
    const calls: ScriptOf = (pod) => ({ ...brokenOnes(pod), bot: { afterMs: 500 } });
    await scene.httpAgent('agent', 1, { scaling: { minAgents: 1, maxAgents: 1 } }, calls);
    await scene.kube.warmPods('agent', 1);
    const good = await breakAgent(scene);
    for (const name of ['a', 'b', 'c']) {
      const [pod] = await scene.kube.warmPods('agent', 1);
      await startsOn(scene, good, [name], 'Warm');
      expect((await scene.kube.session(name)).status?.podName).toBe(pod?.metadata.name);
      await scene.settled([name]);
    }
    const [kept] = await scene.kube.warmPods('agent', 1);
    await first.kill();
    const second = await scene.leader();
    await scene.kube.createSession('d', { agent: 'agent' });
    const { status } = await scene.kube.sessionInPhase('d', 'Running');
    expect(status?.podName).toBe(kept?.metadata.name);
    await scene.settled(['d']);
    await repairAgent(scene, 1);
    const failed = second.lines.filter(
      ({ msg }) => msg.startsWith('cannot ') && !msg.startsWith('cannot take the lease'),
    );
    expect(failed).toEqual([]);
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('makes cold starts of the last good revision, too', async () => {
    const scene = await stage.scene('lastcold');
    await scene.leader();
    await scene.httpAgent('agent', 6, { scaling: { minAgents: 1, maxAgents: 6 } }, brokenOnes);
    await scene.kube.warmPods('agent', 1);
    const good = await breakAgent(scene);
    await scene.kube.warmPods('agent', 1);
    const made = await scene.burst('agent', 3);
    const running = await Promise.all(made.map((name) => scene.kube.sessionInPhase(name, 'Running')));
    expect(running.map(({ status }) => status?.startKind).sort()).toContain('Cold');
    for (const { status } of running) expect(revisionOf(await scene.kube.pod(status?.podName ?? ''))).toBe(good);
    await repairAgent(scene, 1);
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('says why the new revision does not start, and gives Sessions the pods of the one before', async () => {
    const scene = await stage.scene('broken');
    await scene.leader();
    await scene.httpAgent('agent', 5, { scaling: { minAgents: 2, maxAgents: 5 } }, (pod) =>
      pod.spec.initContainers?.some(({ image }) => image === 'broken:1')
        ? { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } }
        : STAYS,
    );
    const good = await scene.kube.warmPods('agent', 2);
    await patchAgent(scene, { spec: { image: 'broken:1' } });
    const agent = await agentWhen(scene, 'is not ready', (found) => condition(found, 'Ready')?.status === 'False');
    expect(condition(agent, 'Ready')).toMatchObject({
      reason: 'ImagePullFailed',
      message: expect.stringContaining('no such image') as string,
    });
    expect(names(await scene.kube.warmPods('agent', 2))).toEqual(names(good));
    await scene.kube.createSession('call', { agent: 'agent' });
    const { status } = await scene.kube.sessionInPhase('call', 'Running');
    expect(status).toMatchObject({ startKind: 'Warm' });
    expect(names(good)).toContain(status?.podName);
    await patchAgent(scene, { spec: { image: 'good:2' } });
    await agentWhen(scene, 'is ready again', (found) => condition(found, 'Ready')?.status === 'True');
    await agentWhen(scene, 'has rolled', (found) => condition(found, 'Reconciling')?.status === 'False');
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('goes with its Agent, and a session stays', async () => {
    const scene = await stage.scene('deleted');
    await scene.leader();
    await scene.httpAgent('agent', 5, { scaling: { minAgents: 2, maxAgents: 5 } }, STAYS);
    await scene.kube.warmPods('agent', 2);
    await scene.kube.createSession('call', { agent: 'agent' });
    await scene.kube.sessionInPhase('call', 'Running');
    await scene.kube.api.delete(agents, { namespace: scene.namespace, name: 'agent' });
    await scene.kube.warmPods('agent', 0);
    await waitFor(
      async () => (await scene.kube.api.list(podResource, { namespace: scene.namespace })).items.length === 1,
      {
        what: 'the pods that waited to go',
        timeoutMs: 30_000,
      },
    );
    expect((await scene.kube.session('call')).status).toMatchObject({ phase: 'Running' });
    expect((await scene.replay()).violations).toEqual([]);
  });
});

// Beside no other: their pods wait on its nodes, too.
describe('the warm pool', () => {
  test('leaves a node at once that is cordoned, and sessions stay there', async () => {
    const scene = await stage.scene('cordon');
    await scene.leader();
    await scene.httpAgent('agent', 6, { scaling: { minAgents: 2, maxAgents: 6 } }, STAYS);
    const [warm] = await scene.kube.warmPods('agent', 2);
    const name = warm?.spec.nodeName ?? '';
    await scene.burst('agent', 2);
    await Promise.all(['s-0', 's-1'].map((session) => scene.kube.sessionInPhase(session, 'Running')));
    await scene.kube.warmPods('agent', 2);
    await scene.kube.api.patch(nodes, { name }, { type: 'merge', body: { spec: { unschedulable: true } } });
    await waitFor(async () => (await scene.kube.warmPods('agent', 2)).every(({ spec }) => spec.nodeName !== name), {
      what: 'the idle pods to leave',
      timeoutMs: 30_000,
    });
    const { items } = await scene.kube.api.list(sessions, { namespace: scene.namespace });
    expect(items.map(({ status }) => status?.phase)).toEqual(['Running', 'Running']);
    await scene.kube.api.patch(nodes, { name }, { type: 'merge', body: { spec: { unschedulable: null } } });
  });
});
