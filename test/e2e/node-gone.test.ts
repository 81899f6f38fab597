import { afterAll, describe, expect, it } from 'vitest';
import { nodes, pods } from '../../src/kube/resources.ts';
import { report, secondsSince, SLOW_MACHINE, untilTold, useBullpen } from '../support/bullpen.ts';

/** The Node object is deleted, as a cloud does with a machine that it has taken back. */
const bullpen = await useBullpen('e2e-node-gone');
const { kube } = bullpen;
const { node } = bullpen.cluster;

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
    const since = Date.now();
    await kube.api.delete(nodes, { name: node?.name ?? '' });
    const { status } = await kube.sessionInPhase('bereft', 'Ended');
    report(`node gone: Lost ${secondsSince(since)} after the Node was deleted`);
    expect(status).toMatchObject({ reason: 'Lost', message: `node ${node?.name ?? ''} is gone` });
    expect(Date.now() - since).toBeLessThan(2_000 * SLOW_MACHINE);
  });

  it('leaves no pod behind when it is made again, and takes new sessions', async () => {
    const { status } = await kube.session('bereft');
    await node?.stopKubelet();
    await node?.startKubelet();
    await kube.gone(pods, status?.podName ?? '');
    await kube.createAgent('fresh', 'echo hello');
    await kube.createSession('fresh', { agent: 'fresh' });
    expect((await kube.sessionInPhase('fresh', 'Ended')).status).toMatchObject({ reason: 'Completed' });
  });
});
