import { afterAll, describe, expect, it } from 'vitest';
import { agents } from '../../src/api/resources.ts';
import { isWarm } from '../../src/controller/pool/warm-pods.ts';
import { nodes, pods } from '../../src/kube/resources.ts';
import { isReady } from '../../src/pods/pod-facts.ts';
import { waitFor } from '../cluster/wait.ts';
import { report, secondsSince, SLOW_MACHINE, untilTold, useBullpen } from '../support/bullpen.ts';

/** The Node object is deleted, as a cloud does with a machine that it has taken back. */
const bullpen = await useBullpen('e2e-node-gone', { http: true });
const { kube } = bullpen;
const { node } = bullpen.cluster;

/** The pods of protocol Http that were on the node: that of a session, and one that waited for one. */
let lost = '';
let waited = '';

describe.runIf(node !== undefined)('a node that is deleted', () => {
  afterAll(async () => {
    // The kubelet makes its Node again only when it starts; other files need it, whatever has failed here.
    await node?.stopKubelet();
    await node?.startKubelet();
  });

  it('ends its sessions as Lost at once', async () => {
    await kube.createAgent('bereft', untilTold());
    await kube.createSession('bereft', { agent: 'bereft' });
    await kube.sessionInPhase('bereft', 'Running');
    await bullpen.echoAgent('pool', { scaling: { minAgents: 1, maxAgents: 4 } });
    await bullpen.warmPods('pool', 1);
    await kube.createSession('pooled', { agent: 'pool' });
    const pooled = await kube.sessionInPhase('pooled', 'Running');
    expect(pooled.status).toMatchObject({ startKind: 'Warm' });
    lost = pooled.status?.podName ?? '';
    waited = (await bullpen.warmPods('pool', 1))[0]?.metadata.name ?? '';
    const since = Date.now();
    await kube.api.delete(nodes, { name: node?.name ?? '' });
    const { status } = await kube.sessionInPhase('bereft', 'Ended');
    report(`node gone: Lost ${secondsSince(since)} after the Node was deleted`);
    const expected = { reason: 'Lost', message: `node ${node?.name ?? ''} is gone` };
    expect(status).toMatchObject(expected);
    expect((await kube.sessionInPhase('pooled', 'Ended')).status).toMatchObject(expected);
    expect(Date.now() - since).toBeLessThan(2_000 * SLOW_MACHINE);
  });

  it('leaves an Agent without a pod that may be claimed, and that says that there is no place for others', async () => {
    await kube.when(agents, 'pool', 'Unschedulable', ({ status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'False' && ready.reason === 'Unschedulable';
    });
    await kube.createSession('homeless', { agent: 'pool', body: '{"seconds": 0}' });
    const waits = await kube.sessionWhen('homeless', 'the cause', (s) => s.status?.reason === 'Unschedulable');
    expect([lost, waited]).not.toContain(waits.status?.podName);
  });

  it('leaves no pod behind when it is made again, and takes new sessions', async () => {
    const { status } = await kube.session('bereft');
    await node?.stopKubelet();
    await node?.startKubelet();
    await kube.gone(pods, status?.podName ?? '');
    await kube.createAgent('fresh', 'echo hello');
    await kube.createSession('fresh', { agent: 'fresh' });
    expect((await kube.sessionInPhase('fresh', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    await kube.gone(pods, lost);
    expect((await kube.session('pooled')).status).toMatchObject({ phase: 'Ended', reason: 'Lost' });
    expect((await kube.sessionInPhase('homeless', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    // The one that waited may have outlived its node, and then there are two until the cooldown is over.
    const waiting = { what: 'a pod to wait again', timeoutMs: 90_000, intervalMs: 200 };
    await waitFor(async () => (await bullpen.pods()).some((pod) => isWarm(pod) && isReady(pod)), waiting);
  });
});
