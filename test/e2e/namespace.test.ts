import { afterAll, describe, expect, it } from 'vitest';
import { namespaces, podDisruptionBudgets } from '../../src/kube/resources.ts';
import { report, secondsSince, untilTold, useBullpen } from '../support/bullpen.ts';
import { TestKube } from '../support/kube.ts';

/** A namespace that is deleted with all that is in it. The controller lives elsewhere. */
const DOOMED = 'e2e-namespace-doomed';
const bullpen = await useBullpen('e2e-namespace', { alsoWatch: [DOOMED] });
const kube = new TestKube(bullpen.cluster, DOOMED);

afterAll(async () => {
  await kube.close();
});

describe('a namespace with sessions in every state', () => {
  it('can be deleted: no finalizer is left behind', async () => {
    await kube.createNamespace();
    await kube.createAgent('running', untilTold({ goodbyeSeconds: 1 }));
    await kube.createAgent('brief', 'exit 0');
    await kube.createAgent('nodeless', 'exit 0', { podTemplate: { spec: { nodeSelector: { nobody: 'has-it' } } } });
    await kube.createAgent('imageless', 'exit 0', { image: 'localhost/bullpen-test/nowhere:1' });
    await kube.createAgent('full', 'exit 0', { scaling: { maxAgents: 0 }, whenFull: 'Queue' });
    const states = { brief: 'Ended', running: 'Running', nodeless: 'Starting', imageless: 'Starting', full: 'Pending' };
    for (const agent of Object.keys(states)) await kube.createSession(agent, { agent });
    await Promise.all(Object.entries(states).map(([name, phase]) => kube.sessionInPhase(name, phase)));
    await kube.when(podDisruptionBudgets, 'bullpen-sessions', 'there', () => true);

    const since = Date.now();
    await kube.api.delete(namespaces, { name: DOOMED });
    await kube.gone(namespaces, DOOMED);
    report(`namespace gone ${secondsSince(since)} after its deletion`);
  });

  it('serves as before when it is made again', async () => {
    await kube.createNamespace();
    await kube.createAgent('brief', 'echo again');
    await kube.createSession('brief', { agent: 'brief' });
    expect((await kube.sessionInPhase('brief', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    await kube.when(podDisruptionBudgets, 'bullpen-sessions', 'there', () => true);
    await kube.api.delete(namespaces, { name: DOOMED });
    await kube.gone(namespaces, DOOMED);
  });
});
