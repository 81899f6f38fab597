import { beforeAll, describe, expect, it } from 'vitest';
import { labels } from '../../src/api/names.ts';
import { agents } from '../../src/api/resources.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { isReady } from '../../src/pods/pod-facts.ts';
import { useBullpen } from '../support/bullpen.ts';
import { deployAction, type ActionInputs, type ActionResult } from '../support/deploy-action.ts';
import { ECHO_AGENT_IMAGE } from '../support/example-images.ts';
import { useGateway } from '../support/gateway-bed.ts';

/** Pipecat's GitHub Action with a private key. It looks far more often here than it does there, so that it would see what is true too early. */
const bullpen = await useBullpen('e2e-deploy-action', { http: true });
const { kube, namespace } = bullpen;
const bed = useGateway(bullpen);
const NOWHERE = 'localhost/bullpen-test/nowhere:1';
const SETTINGS = 'settings';

async function deploy(inputs: Partial<ActionInputs> & { agentName: string }): Promise<ActionResult> {
  return await deployAction({
    apiUrl: bed.gateway.origin,
    apiKey: bed.privateKey,
    image: ECHO_AGENT_IMAGE,
    intervalMs: 20,
    attempts: 3000,
    ...inputs,
  });
}

/** Pods of an agent that wait, are ready, and are of the revision that its owner asked for last. */
async function upToDate(agentName: string): Promise<Pod[]> {
  const { metadata, status } = await kube.api.get(agents, { namespace, name: agentName });
  expect(status?.observedGeneration).toBe(metadata.generation);
  const labelSelector = `${labels.agent}=${agentName},${labels.state}=warm,${labels.revision}=${status?.revision ?? ''}`;
  return (await kube.api.list(pods, { namespace, labelSelector })).items.filter(isReady);
}

/** What the looks of the Action have in common, whatever it waits for: the last one only is that it is done. */
function expectWaits({ looks }: ActionResult): void {
  expect(looks.length).toBeGreaterThan(1);
  expect(looks.slice(0, -1).filter((look) => look?.['activeDeploymentReady'] !== false)).toEqual([]);
}

beforeAll(async () => {
  const body = { secrets: [{ secretKey: 'GREETING', secretValue: 'hello' }] };
  const { status } = await bed.gateway.call('PUT', `/v1/secrets/${SETTINGS}`, { key: bed.privateKey, body });
  expect(status).toBe(202);
});

describe('the deploy action', () => {
  it('is done with a new agent when a pod of it waits, and with a new revision when a pod of that does', async () => {
    const agentName = 'waits';
    const created = await deploy({ agentName, minAgents: 1 });
    expect(created).toMatchObject({ isUpdate: false, deployed: { name: agentName, activeDeploymentReady: false } });
    expect(created.failure).toBeUndefined();
    expectWaits(created);
    expect(created.looks.at(-1)).toMatchObject({ available: true, autoScaling: { minReplicas: 1, maxReplicas: 10 } });
    expect(await upToDate(agentName)).toHaveLength(1);

    const updated = await deploy({ agentName, minAgents: 1, secretSet: SETTINGS });
    expect(updated).toMatchObject({ isUpdate: true, deployed: { available: true, activeDeploymentReady: false } });
    expect(updated.failure).toBeUndefined();
    expectWaits(updated);
    const [pod] = await upToDate(agentName);
    expect(JSON.stringify(pod?.spec)).toContain(`{"secretRef":{"name":"${SETTINGS}"`);
    // The agent could take sessions all the time.
    expect(updated.looks.filter((look) => look?.['available'] !== true)).toEqual([]);

    const broken = await deploy({ agentName, minAgents: 1, image: NOWHERE });
    expect(broken.deployed).toMatchObject({ activeDeploymentReady: false });
    expect(broken.failure).toMatch(/^Deployment errors: PCC_IMAGE_NOT_FOUND: .*nowhere/);
    expectWaits(broken);
    expect(broken.looks.at(-1)).toMatchObject({ available: true, activeDeploymentReady: false });

    const mended = await deploy({ agentName, minAgents: 0 });
    expect(mended.failure).toBeUndefined();
  });

  it('fails with a new agent whose image there is not', async () => {
    const result = await deploy({ agentName: 'nowhere', image: NOWHERE, minAgents: 1 });
    expect(result.failure).toMatch(/^Deployment errors: PCC_IMAGE_NOT_FOUND: .*nowhere/);
    expectWaits(result);
    expect(result.looks.at(-1)).toMatchObject({ ready: false, activeDeploymentReady: false });
  });

  it('is done at once with an agent of which no pod waits', async () => {
    const result = await deploy({ agentName: 'scales-to-zero' });
    expect(result.failure).toBeUndefined();
    expect(result.looks.at(-1)).toMatchObject({ ready: true, available: true });
  });

  it('says that a key is bad', async () => {
    for (const apiKey of ['sk_wrong', bed.publicKey]) {
      const result = await deploy({ agentName: 'waits', apiKey });
      expect(result).toEqual({ failure: 'Failed to check agent: Unauthorized / token expired', looks: [] });
    }
  });
});
