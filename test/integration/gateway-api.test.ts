import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Agent } from '../../src/api/agent.ts';
import { labels } from '../../src/api/names.ts';
import { agents, apiKeys, sessions } from '../../src/api/resources.ts';
import { deploymentId } from '../../src/gateway/agents/deployment-id.ts';
import type { ControllerRevision } from '../../src/kube/objects.ts';
import { configMaps, controllerRevisions, secrets } from '../../src/kube/resources.ts';
import type { FakedPod } from '../cluster/fake-pod.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** What the REST API does with agents, sessions, keys and secrets, on a real API server and with the chart's rights. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'rest', { nodes: 4 });
});
afterAll(() => stage?.close());

const LONG = { bot: { afterMs: 3_600_000 } };
const IMAGE = 'registry.example/agent:1';

interface Played {
  scene: Scene;
  gateway: GatewayProcess;
  own: string;
  start: string;
  /** A request with the private key. */
  call: (method: string, path: string, body?: unknown) => ReturnType<GatewayProcess['call']>;
}

async function play(name: string): Promise<Played> {
  const scene = await stage.scene(name);
  const [gateway] = await Promise.all([scene.gateway(), scene.leader()]);
  const [own, start] = await Promise.all([scene.key('Private'), scene.key('Public')]);
  await gateway.answers('GET', '/v1/agents', { key: own }, { status: 200 });
  await gateway.answers('POST', '/v1/public/none/start', { key: start }, { status: 404 });
  const call: Played['call'] = (method, path, body) =>
    gateway.call(method, path, { key: own, ...(body !== undefined && { body }) });
  return { scene, gateway, own, start, call };
}

async function ready({ call }: Played, name: string): Promise<Record<string, unknown>> {
  let body: Record<string, unknown> = {};
  await waitFor(async () => (body = (await call('GET', `/v1/agents/${name}`)).body)['ready'] === true, {
    what: `agent ${name} to be ready`,
    timeoutMs: 60_000,
  });
  return body;
}

describe.concurrent('an agent', () => {
  test('is deployed, is ready, is changed and is deleted', async () => {
    const played = await play('deploy');
    const { scene, call } = played;
    const created = await call('POST', '/v1/agents', {
      serviceName: 'echo',
      image: IMAGE,
      autoScaling: { maxAgents: 3 },
    });
    expect(created.status).toBe(200);
    expect(created.body).toMatchObject({ name: 'echo', autoScaling: { minReplicas: 0, maxReplicas: 3 } });
    expect((await call('POST', '/v1/agents', { serviceName: 'echo', image: IMAGE })).status).toBe(409);
    const first = await ready(played, 'echo');
    expect(first['desiredDeploymentId']).toBe(first['reconciledDeploymentId']);
    // What is left out stays; a new revision is not ready inside the answer that makes it.
    const changed = await call('POST', '/v1/agents/echo', { image: `${IMAGE}-2`, maxSessionDuration: 300 });
    expect(changed.body).toMatchObject({ activeDeploymentReady: false, autoScaling: { maxReplicas: 3 } });
    const second = await ready(played, 'echo');
    expect(second['desiredDeploymentId']).not.toBe(first['desiredDeploymentId']);
    const { spec } = await scene.kube.api.get(agents, { namespace: scene.namespace, name: 'echo' });
    expect(spec).toMatchObject({ image: `${IMAGE}-2`, maxSessionDuration: 300, scaling: { maxAgents: 3 } });
    expect((await call('DELETE', '/v1/agents/echo')).body).toEqual({ status: 'OK' });
    expect((await call('DELETE', '/v1/agents/echo')).status).toBe(404);
  });

  test('of somebody’s manifest keeps what REST cannot say, and is not taken away from its owner', async () => {
    const played = await play('gitops');
    const { scene, call } = played;
    const manifest = {
      apiVersion: 'bullpen.dev/v1alpha1',
      kind: 'Agent',
      metadata: { name: 'echo', namespace: scene.namespace },
      spec: { image: IMAGE, env: [{ name: 'A', value: '1' }], scaling: { buffer: { count: 0 } } },
    };
    const ref = { namespace: scene.namespace, name: 'echo' };
    await scene.kube.api.patch(agents, ref, { type: 'apply', body: manifest }, { fieldManager: 'flux' });
    await ready(played, 'echo');
    expect((await call('POST', '/v1/agents/echo', { autoScaling: { maxAgents: 7 } })).status).toBe(200);
    const { spec } = await scene.kube.api.get(agents, ref);
    expect(spec).toMatchObject({ env: [{ name: 'A', value: '1' }], scaling: { maxAgents: 7 } });
    const conflict = await call('POST', '/v1/agents/echo', { image: 'registry.example/other:1' });
    expect(conflict.status).toBe(409);
    expect(conflict.body['error']).toMatch(/[.]spec[.]image.*flux/);
  });

  test('is what it was told to be, also what no pod is made of', async () => {
    const played = await play('fields');
    const { scene, call } = played;
    const ref = { namespace: scene.namespace, name: 'echo' };
    const resources = { cpu: '100m', memory: '64Mi' };
    const wanted = {
      serviceName: 'echo',
      image: IMAGE,
      agentProfile: 'agent-2x',
      resources,
      architecture: 'amd64',
      imagePullSecretSet: 'pull',
      websocketAuth: 'none',
      krispViva: {},
    };
    const without = await call('POST', '/v1/agents', wanted);
    expect([without.status, without.body['error']]).toEqual([
      400,
      "Invalid parameters: imagePullSecretSet: there is no secret set 'pull'",
    ]);
    const pull = { isImagePullSecret: true, host: 'registry.example', secretValue: 'dXNlcjp0b2tlbg==' };
    expect((await call('PUT', '/v1/secrets/pull', pull)).status).toBe(202);
    const created = await call('POST', '/v1/agents', wanted);
    expect(created.status).toBe(200);
    const first = await ready(played, 'echo');
    expect(first).toMatchObject({
      agentProfile: 'agent-2x',
      resources,
      websocketAuth: 'none',
      krispViva: { audioFilter: null },
      deployment: { manifest: { spec: { arch: 'amd64', resources, imagePullSecretName: 'pull' } } },
      currentRevision: { phase: 'Active' },
    });
    // A note is no new revision, and stays when something else is changed.
    const krisp = await call('POST', '/v1/agents/echo', { serviceName: 'echo', krispViva: { audioFilter: 'tel' } });
    expect(krisp.body).toMatchObject({ krispViva: { audioFilter: 'tel' }, activeDeploymentReady: true });
    expect(krisp.body['warning']).toContain('Krisp');
    const scaled = await call('POST', '/v1/agents/echo', { autoScaling: { maxAgents: 4 } });
    expect(scaled.body).toMatchObject({ krispViva: { audioFilter: 'tel' }, websocketAuth: 'none', resources });
    expect(scaled.body).not.toHaveProperty('warning');
    expect((await ready(played, 'echo'))['desiredDeploymentId']).toBe(first['desiredDeploymentId']);
    expect((await call('POST', '/v1/agents/echo', { autoScaling: { maxAgents: 4 } })).body['warning']).toContain(
      'Nothing has changed',
    );
    const { metadata } = await scene.kube.api.get(agents, ref);
    expect(metadata.annotations).toEqual({
      'bullpen.dev/krisp-audio-filter': 'tel',
      'bullpen.dev/websocket-auth': 'none',
    });
    const other = await call('POST', '/v1/agents/echo', { agentProfile: 'agent-1x', krispViva: { audioFilter: null } });
    expect(other.body).toMatchObject({ resources: { cpu: '500m', memory: '1Gi' }, krispViva: { audioFilter: null } });
    expect((await call('POST', '/v1/agents/echo', { serviceName: 'other' })).status).toBe(400);
    const listed = await call('GET', '/v1/agents?includeActiveDeployment=true&region=default');
    expect(listed.body).toMatchObject({
      services: [{ name: 'echo', deployment: { manifest: { spec: { image: IMAGE } } } }],
    });
    expect((await call('GET', '/v1/agents?region=elsewhere')).body).toEqual({ services: [] });
  });

  test('that cannot be is refused, and says why', async () => {
    const { call } = await play('refused');
    const deploy = (more: object) => call('POST', '/v1/agents', { serviceName: 'echo', image: IMAGE, ...more });
    expect((await deploy({ maxSessionDuration: 5 })).body['error']).toContain('maxSessionDuration');
    expect((await deploy({ serviceName: 'Echo' })).status).toBe(400);
    expect((await deploy({ autoScaling: { minAgents: 5, maxAgents: 2 } })).body['error']).toContain('minAgents');
    expect((await deploy({ region: 'us-west' })).body['error']).toContain('region');
    expect((await deploy({ krispViva: { audioFilter: 'loud' } })).body).toMatchObject({
      code: 'GENERIC_BAD_REQUEST',
      error: expect.stringContaining('krispViva.audioFilter') as string,
    });
    expect((await deploy({ enableManagedKeys: true })).status).toBe(400);
    expect((await call('GET', '/v1/agents')).body).toEqual({ services: [] });
  });
});

describe.concurrent('the deployments of an agent', () => {
  interface Shown {
    id: string;
    createdAt: string;
    updatedAt: string;
    manifest: { spec: { image: string } };
  }
  const BROKEN = 'registry.example/broken:2';

  async function deployments({ scene, call }: Played, query = ''): Promise<Shown[]> {
    const path = `/v1/organizations/${scene.namespace}/services/echo/deployments${query}`;
    const { status, body } = await call('GET', path);
    expect(status).toBe(200);
    return body['deployments'] as Shown[];
  }

  /** Deploys it, and waits until it is on record; returns its id. */
  async function deploy(played: Played, image: string, waiting = 1): Promise<string> {
    const { scene, call } = played;
    await scene.kube.api.patch(agents, { namespace: scene.namespace, name: 'echo' }, merge({ spec: { image } }));
    let agent: Agent | undefined;
    await waitFor(
      async () => {
        agent = await scene.kube.api.get(agents, { namespace: scene.namespace, name: 'echo' });
        const { observedGeneration, revision, recordedRevision } = agent.status ?? {};
        return observedGeneration === agent.metadata.generation && recordedRevision === revision;
      },
      { what: `${image} to be on record`, timeoutMs: 60_000, intervalMs: 50 },
    ).catch((cause: unknown) => {
      throw new Error(`the Agent says ${JSON.stringify(agent?.status)}`, { cause });
    });
    if (image !== BROKEN) await scene.kube.warmPods('echo', waiting);
    const details = async () => (await call('GET', '/v1/agents/echo')).body;
    const revision = agent?.status?.revision ?? '';
    const id = deploymentId(scene.namespace, 'echo', revision);
    await waitFor(async () => (await details())['desiredDeploymentId'] === id, {
      what: 'the gateway to know of it',
      timeoutMs: 30_000,
    });
    return id;
  }

  const merge = (body: object) => ({ type: 'merge' as const, body });
  const images = (shown: readonly Shown[]): string[] => shown.map(({ manifest }) => manifest.spec.image);
  const ids = (shown: readonly Shown[]): string[] => shown.map(({ id }) => id);

  test('are all that there were, also one that never started, until the agent is gone', async () => {
    const played = await play('history');
    const { scene, call } = played;
    const isBroken = (pod: FakedPod): boolean =>
      pod.spec.initContainers?.some(({ image }) => image === BROKEN) ?? false;
    await scene.httpAgent('echo', 5, { image: IMAGE, scaling: { minAgents: 1, maxAgents: 5 } }, (pod) =>
      isBroken(pod) ? { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } : LONG,
    );
    const first = await deploy(played, IMAGE);
    const second = await deploy(played, BROKEN);
    const third = await deploy(played, `${IMAGE}-3`);
    const shown = await deployments(played);
    expect(images(shown)).toEqual([`${IMAGE}-3`, BROKEN, IMAGE]);
    expect(ids(shown)).toEqual([third, second, first]);
    expect(ids(await deployments(played, '?limit=1&offset=1'))).toEqual([second]);
    expect(ids(await deployments(played, '?limit=1000'))).toHaveLength(3);
    expect((await call('GET', '/v1/agents/echo')).body).toMatchObject({ deployment: { id: third } });

    // As `kubectl get controllerrevisions -l bullpen.dev/agent=echo` has them.
    const records = async (): Promise<ControllerRevision[]> => {
      const { namespace } = scene;
      return (await scene.kube.api.list(controllerRevisions, { namespace, labelSelector: `${labels.agent}=echo` }))
        .items;
    };
    const found = await records();
    expect(found.map(({ revision }) => revision).sort()).toEqual([1, 2, 3]);
    const { metadata } = await scene.kube.api.get(agents, { namespace: scene.namespace, name: 'echo' });
    for (const record of found) expect(record.metadata.ownerReferences).toMatchObject([{ uid: metadata.uid }]);
    const image = '-o=jsonpath={range .items[*]}{.data.spec.image}{"\\n"}{end}';
    const select = [
      '--namespace',
      scene.namespace,
      '--selector',
      'bullpen.dev/agent=echo',
      '--sort-by=.revision',
      image,
    ];
    const { stdout } = await stage.cluster.kubectl(['get', 'controllerrevisions', ...select]);
    expect(stdout.trim().split('\n')).toEqual([IMAGE, BROKEN, `${IMAGE}-3`]);

    await call('DELETE', '/v1/agents/echo');
    await waitFor(async () => (await records()).length === 0, { what: 'the records to go', timeoutMs: 90_000 });
  });

  test('that comes back is the newest again, under the id that it had', async () => {
    const played = await play('rollback');
    const { scene } = played;
    await scene.httpAgent('echo', 5, { image: IMAGE, scaling: { minAgents: 1, maxAgents: 5 } }, LONG);
    const first = await deploy(played, IMAGE);
    const second = await deploy(played, `${IMAGE}-2`);
    expect(await deploy(played, IMAGE)).toBe(first);
    const [present, before, ...more] = await deployments(played);
    expect([present?.id, before?.id]).toEqual([first, second]);
    expect(more).toEqual([]);
    expect(Date.parse(present?.updatedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(before?.createdAt ?? ''));
    const { items } = await scene.kube.api.list(controllerRevisions, { namespace: scene.namespace });
    const numbers = items.map(({ metadata, revision }) => [
      deploymentId(scene.namespace, 'echo', metadata.labels?.[labels.revision] ?? ''),
      revision,
    ]);
    expect(Object.fromEntries(numbers)).toEqual({ [first]: 3, [second]: 2 });
  });

  test('are kept for an agent whose pods do not wait, over a change of the leader, which asks for none', async () => {
    const played = await play('process');
    const { scene } = played;
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.agent('echo', 5, { image: IMAGE });
    const id = await deploy(played, IMAGE, 0);
    await scene.currentController().kill();
    await scene.leader({ proxy });
    await scene.settled(await scene.burst('echo', 1));
    expect(ids(await deployments(played))).toEqual([id]);
    expect(proxy.calls.map(({ what }) => what)).not.toContain('GET controllerrevisions');
    expect(proxy.calls.map(({ what }) => what)).toContain('PATCH sessions/status');
    await proxy.close();
  });

  test('show the present one while there is no controller to record it', async () => {
    const scene = await stage.scene('nobody');
    const [gateway, key] = await Promise.all([scene.gateway(), scene.key('Private')]);
    await scene.agent('echo', 5, { image: IMAGE });
    const path = `/v1/organizations/${scene.namespace}/services/echo/deployments`;
    const call = () => gateway.call('GET', path, { key });
    await waitFor(async () => (await call()).status === 200, { what: 'the gateway to know a key', timeoutMs: 30_000 });
    expect((await call()).body).toMatchObject({ deployments: [{ manifest: { spec: { image: IMAGE } } }] });
  });
});

describe.concurrent('a session', () => {
  test('is listed, shown and stopped, also when its agent is gone', async () => {
    const played = await play('sessions');
    const { scene, gateway, start, call } = played;
    await scene.httpAgent('echo', 5, {}, LONG);
    const { desiredDeploymentId: deploymentId } = await ready(played, 'echo');
    const { body } = await gateway.call('POST', '/v1/public/echo/start', { key: start, body: { body: { a: 1 } } });
    const id = String(body['sessionId']);
    await scene.kube.sessionInPhase(id, 'Running');
    await call('DELETE', '/v1/agents/echo');
    const seen = async (path: string, wanted: object): Promise<void> => {
      let last: unknown;
      await waitFor(
        async () => {
          last = (await call('GET', path)).body;
          try {
            expect(last).toMatchObject(wanted);
            return true;
          } catch {
            return false;
          }
        },
        { what: `${path} to say so`, timeoutMs: 30_000 },
      ).catch(() => expect(last).toMatchObject(wanted));
    };
    await seen('/v1/agents/echo/sessions', {
      total_count: 1,
      sessions: [{ sessionId: id, endedAt: null, coldStart: true }],
    });
    await seen(`/v1/agents/echo/sessions/${id}`, { phase: 'Running', agent: 'echo', deploymentId });
    await seen(`/v1/agents/echo/sessions?deploymentId=${String(deploymentId)}`, { total_count: 1 });
    const wrong = await call('GET', '/v1/agents/echo/sessions?status=bad');
    expect(wrong).toMatchObject({ status: 400, body: { code: '400', err: { name: 'ZodError' } } });
    const stopped = await call('DELETE', `/v1/agents/echo/sessions/${id}`);
    expect(stopped.body).toEqual({ status: 'terminated', session_id: id });
    await scene.kube.sessionInPhase(id, 'Ended');
    await seen('/v1/agents/echo/sessions?status=ended', { sessions: [{ endState: 'terminated' }] });
    await seen('/v1/agents/echo/sessions?status=active', { total_count: 0, sessions: [] });
    await seen('/v1/agents/echo/sessions', { total_count: 1 });
    expect((await call('GET', '/v1/agents/echo/sessions/not-a-uuid')).status).toBe(400);
  });

  test('is the same one for the same Idempotency-Key, also when the agent is full, or paused, or it has ended', async () => {
    const played = await play('retry');
    const { scene, gateway, start, call } = played;
    await scene.httpAgent('echo', 1, {}, LONG);
    await ready(played, 'echo');
    const ask = (body: unknown, idempotency: string) =>
      gateway.call('POST', '/v1/public/echo/start', { key: start, body, headers: { 'idempotency-key': idempotency } });
    const both = await Promise.all([ask({ body: 1 }, 'k'), ask({ body: 1 }, 'k')]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    const again = await ask({ body: 1 }, 'k');
    const ids = new Set([...both, again].map(({ body }) => body['sessionId']));
    expect(ids.size).toBe(1);
    expect((await ask({ body: 2 }, 'k')).status).toBe(422);
    expect((await ask({ body: 1 }, 'other')).status).toBe(429);
    // What there is, is there also while the agent takes no more, and when it is over.
    await scene.kube.patchAgent('echo', { paused: true });
    await gateway.answers('POST', '/v1/public/echo/start', { key: start }, { status: 400, body: { code: 'PCC-1001' } });
    const [id] = ids;
    expect(await ask({ body: 1 }, 'k')).toMatchObject({ status: 200, body: { sessionId: id } });
    await call('DELETE', `/v1/agents/echo/sessions/${String(id)}`);
    await scene.kube.sessionInPhase(String(id), 'Ended');
    expect(await ask({ body: 1 }, 'k')).toMatchObject({ status: 200, body: { sessionId: id } });
    expect((await scene.kube.api.list(sessions, { namespace: scene.namespace })).items).toHaveLength(1);
  });
});

// Beside nothing else: the API server gives a creation 5 s, and a megabyte takes long where ten controllers start at the same time.
test('a session is told a megabyte, of which nothing is left when it runs', async () => {
  const played = await play('large');
  const { scene, gateway, start } = played;
  await scene.httpAgent('echo', 5, {}, LONG);
  await ready(played, 'echo');
  const text = 'ä'.repeat(499_000);
  const { status, body } = await gateway.call('POST', '/v1/public/echo/start', {
    key: start,
    body: { body: { text } },
  });
  expect({ status, body }).toMatchObject({ status: 200 });
  await scene.kube.sessionInPhase(String(body['sessionId']), 'Running');
  expect(scene.deliveries()[0]?.body).toBe(JSON.stringify({ text }));
  const labelSelector = 'bullpen.dev/body';
  const left = async () =>
    (await scene.kube.api.list(secrets, { namespace: scene.namespace, labelSelector })).items.length;
  await waitFor(async () => (await left()) === 0, { what: 'the Secret of the body to be gone', timeoutMs: 30_000 });
});

test('secrets are written and never shown, and no Secret of somebody else’s is touched', async () => {
  const { scene, call } = await play('secrets');
  const { api } = scene.kube;
  const ref = { namespace: scene.namespace, name: 'my-set' };
  expect((await call('PUT', '/v1/secrets/my-set', { secrets: [{ secretKey: 'A', secretValue: '1' }] })).status).toBe(
    202,
  );
  expect((await call('PUT', '/v1/secrets/my-set', { secretKey: 'B', secretValue: 'ü' })).status).toBe(202);
  expect((await api.get(secrets, ref)).data).toEqual({ A: 'MQ==', B: 'w7w=' });
  expect((await call('GET', '/v1/secrets/my-set')).body).toMatchObject({
    secrets: [{ fieldName: 'A' }, { fieldName: 'B' }],
  });
  expect((await call('DELETE', '/v1/secrets/my-set/A')).status).toBe(200);
  expect((await api.get(secrets, ref)).data).toEqual({ B: 'w7w=' });
  const pull = { isImagePullSecret: true, host: 'registry.example', secretValue: 'dXNlcjp0b2tlbg==' };
  expect((await call('PUT', '/v1/secrets/pull', pull)).status).toBe(202);
  expect((await call('GET', '/v1/secrets')).body).toMatchObject({
    sets: [
      { name: 'my-set', type: 'secret' },
      { name: 'pull', type: 'imagePullSecret' },
    ],
  });
  expect((await call('GET', '/v1/secrets?region=elsewhere')).body).toEqual({ sets: [] });
  // The command lines of before 1.0 go by this code.
  const org = `/v1/organizations/${scene.namespace}`;
  expect((await call('GET', '/v1/secrets/pull')).body).toMatchObject({ code: 'GENERIC_BAD_REQUEST' });
  expect((await call('GET', `${org}/secrets/pull`)).body).toMatchObject({ code: '400' });
  expect((await call('GET', '/v1/secrets/none')).body).toEqual({ error: 'Set not found', code: 'NOT_FOUND' });
  expect((await call('PUT', '/v1/secrets/pull', { secretKey: 'A', secretValue: '1' })).status).toBe(400);
  await api.create(secrets, scene.namespace, { metadata: { name: 'foreign' }, data: { a: 'MQ==' } });
  expect((await call('PUT', '/v1/secrets/foreign', { secretKey: 'a', secretValue: '2' })).status).toBe(409);
  expect((await call('DELETE', '/v1/secrets/foreign')).status).toBe(404);
  expect((await api.get(secrets, { ...ref, name: 'foreign' })).data).toEqual({ a: 'MQ==' });
  expect((await call('DELETE', '/v1/secrets/my-set')).status).toBe(200);
  expect((await call('DELETE', '/v1/secrets/my-set')).status).toBe(404);
  expect(Object.keys((await api.get(configMaps, { ...ref, name: 'bullpen-secret-sets' })).data ?? {})).toEqual([
    'pull',
  ]);
});

test('keys are made, listed and revoked; a token of Kubernetes does what its RBAC allows', async () => {
  const { scene, gateway, own } = await play('keys');
  const { namespace } = scene;
  const at = `/v1/organizations/${namespace}/apiKeys`;
  const made = await gateway.call('POST', at, { key: own, body: { name: 'app', type: 'public' } });
  const key = String(made.body['key']);
  expect(key).toMatch(/^pk_/);
  const listed = await gateway.call('GET', at, { key: own });
  expect(listed.body['public']).toContainEqual(
    expect.objectContaining({ key, metadata: { name: 'app' }, revoked: false }),
  );
  expect(JSON.stringify(listed.body)).not.toContain(own);
  expect((await gateway.call('DELETE', `${at}/${String(made.body['id'])}`, { key: own })).status).toBe(200);
  expect((await gateway.call('POST', '/v1/public/x/start', { key })).status).toBe(401);
  expect((await scene.kube.api.list(apiKeys, { namespace })).items).toHaveLength(3);
  const token = await stage.cluster.kubectl(['create', 'token', 'default', '--namespace', namespace]);
  const user = token.stdout.trim();
  const services = `/v1/organizations/${namespace}/services`;
  const denied = await gateway.call('GET', services, { key: user });
  expect(denied.status).toBe(403);
  expect(denied.body['error']).toContain('may not list agents');
  await stage.cluster.kubectl([
    'create',
    'role',
    'agents',
    '--verb=list',
    '--resource=agents.bullpen.dev',
    '--namespace',
    namespace,
  ]);
  await stage.cluster.kubectl([
    'create',
    'rolebinding',
    'agents',
    '--role=agents',
    `--serviceaccount=${namespace}:default`,
    '--namespace',
    namespace,
  ]);
  await waitFor(async () => (await gateway.call('GET', services, { key: user })).status === 200, {
    what: 'the right to list agents to count',
    timeoutMs: 30_000,
    intervalMs: 500,
  });
  expect((await gateway.call('GET', '/v1/organizations/default/services', { key: user })).status).toBe(403);
  const mine = await gateway.call('GET', '/v1/organizations', { key: user });
  expect(mine.body).toEqual({ organizations: [{ name: namespace, verboseName: namespace }] });
});

test('the lists that only the command line asks for are there, and say what there is none of', async () => {
  const { scene, call } = await play('catalogue');
  const org = `/v1/organizations/${scene.namespace}`;
  const { body } = await call('GET', `${org}/agent-profiles`);
  expect(body['agentProfiles']).toContainEqual({
    api_name: 'agent-2x',
    display_name: 'agent-2x',
    resources: { cpu: '1', memory: '2Gi' },
    custom: false,
    enabled: true,
  });
  expect((await call('GET', `${org}/builds?limit=10`)).body).toEqual({ builds: [], total: 0 });
  expect((await call('GET', `${org}/registry-keys`)).body).toEqual({ registry_keys: [] });
});

test('the API describes itself', async () => {
  const { gateway } = await play('openapi');
  const { body } = await gateway.call('GET', '/openapi.json');
  expect(Object.keys(body['paths'] as object).length).toBeGreaterThan(20);
  const page = await fetch(`${gateway.origin}/docs`);
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(await page.text()).toContain('Start a session');
});
