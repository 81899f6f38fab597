import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agents, apiKeys, sessions } from '../../src/api/resources.ts';
import { refOf, secrets } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** Starts over HTTP: gateway and controller are real processes with the chart's rights, on a real API server. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'gateway', { nodes: 4 });
});
afterAll(() => stage?.close());

const AGENT = 'echo';
const START = `/v1/public/${AGENT}/start`;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Until it is stopped. */
const LONG = { bot: { afterMs: 3_600_000 } };

interface Played {
  scene: Scene;
  gateway: GatewayProcess;
  leader: ControllerProcess;
  key: string;
}

async function play(
  name: string,
  { maxAgents = 5, minAgents = 0, config = {} }: { maxAgents?: number; minAgents?: number; config?: object } = {},
): Promise<Played> {
  const scene = await stage.scene(name);
  const [gateway, leader] = await Promise.all([scene.gateway({ config: { ...config } }), scene.leader()]);
  await scene.httpAgent(AGENT, maxAgents, { scaling: { minAgents, maxAgents } }, LONG);
  await agentBecomes(scene, 'Ready');
  if (minAgents > 0) await scene.kube.warmPods(AGENT, minAgents);
  const key = await scene.key('Public');
  await knows(gateway, key);
  return { scene, gateway, leader, key };
}

/** Resolves when the gateway has seen a key. */
async function knows(gateway: GatewayProcess, key: string): Promise<void> {
  const asked = async (): Promise<boolean> =>
    (await gateway.call('POST', '/v1/public/none/start', { key })).status === 404;
  await waitFor(asked, { what: 'the gateway to know a key', timeoutMs: 30_000, intervalMs: 20 });
}

/** Resolves when the controller says this of the Agent, for the reason that is in its condition. */
async function agentBecomes({ kube }: Scene, reason: string): Promise<void> {
  await kube.when(agents, AGENT, reason, ({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return status?.observedGeneration === metadata.generation && ready?.reason === reason;
  });
}

async function sessionCount({ kube, namespace }: Scene): Promise<number> {
  return (await kube.api.list(sessions, { namespace })).items.length;
}

/** Daily, as far as the gateway asks it. */
async function playDaily(): Promise<{ baseUrl: string; rooms: Set<string>; close: () => void }> {
  const rooms = new Set<string>();
  const server = createServer((request, response) => {
    void text(request).then((sent) => {
      const body = JSON.parse(sent || '{}') as { name?: string; properties?: Record<string, unknown> };
      const name = body.name ?? request.url?.split('/').at(-1) ?? '';
      const isRoom = request.url?.startsWith('/v1/rooms') === true;
      if (isRoom && request.method === 'POST') rooms.add(name);
      if (isRoom && request.method === 'DELETE') rooms.delete(name);
      const known = request.headers.authorization === 'Bearer the-daily-key';
      const answer = isRoom
        ? { name, url: `https://example.daily.co/${name}` }
        : { token: JSON.stringify(body.properties) };
      response.writeHead(known ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { baseUrl: `http://127.0.0.1:${port}/v1`, rooms, close: () => server.close() };
}

test('with a Daily room tells the agent and the caller of it, and takes it away when the start is refused', async () => {
  const daily = await playDaily();
  const { scene, gateway, key } = await play('daily', { maxAgents: 1, config: { daily: { baseUrl: daily.baseUrl } } });
  const ask = () =>
    gateway.call('POST', START, { key, body: { createDailyRoom: true, enableDefaultIceServers: true } });
  const without = await ask();
  expect(without.status).toBe(400);
  expect(without.body['error']).toContain('Secret bullpen-daily');
  const data = { apiKey: Buffer.from('the-daily-key').toString('base64') };
  await scene.kube.api.create(secrets, scene.namespace, { metadata: { name: 'bullpen-daily' }, data });
  const { body } = await ask();
  const id = String(body['sessionId']);
  expect(body).toMatchObject({ dailyRoom: `https://example.daily.co/${id}`, iceConfig: { iceServers: [{}] } });
  expect(JSON.parse(String(body['dailyToken']))).not.toHaveProperty('is_owner');
  await scene.kube.sessionInPhase(id, 'Running');
  const [delivery] = scene.deliveries();
  expect(delivery?.headers).toMatchObject({ 'x-daily-room-url': `https://example.daily.co/${id}` });
  expect(JSON.parse(delivery?.headers['x-daily-room-token'] ?? '')).toMatchObject({ is_owner: true, room_name: id });
  expect((await ask()).status).toBe(429);
  expect([...daily.rooms]).toEqual([id]);
  // Who is refused for want of room is not told of a key.
  await scene.kube.api.delete(secrets, { namespace: scene.namespace, name: 'bullpen-daily' });
  expect((await ask()).status).toBe(429);
  daily.close();
});

describe.concurrent('a start', () => {
  test.each([
    ['warm', 1],
    ['cold', 0],
  ])('is %s', async (start, minAgents) => {
    const { scene, gateway, key } = await play(start, { minAgents });
    const body = '{"n": 1.0, "big": 12345678901234567890, "text": "Grüße, 世界 \\u0000"}';
    const { status, body: reply } = await gateway.call('POST', START, { key, body: `{"body": ${body} , "x": 1}` });
    expect({ status, reply }).toMatchObject({
      status: 200,
      reply: { start, sessionId: expect.stringMatching(UUID) as string },
    });
    const id = String(reply['sessionId']);
    const { status: told } = await scene.kube.sessionInPhase(id, 'Running');
    const [delivery] = scene.deliveries();
    expect(delivery?.headers['x-daily-session-id']).toBe(id);
    expect(delivery?.body).toBe(body);
    const latest = Date.parse(told?.startedAt ?? '') + 7200_000;
    expect(Date.parse(String(reply['expiresAt']))).toBeGreaterThanOrEqual(latest);
    // Nobody who may read Sessions reads what was said.
    expect(JSON.stringify(await scene.kube.session(id))).not.toContain('世界');
  });

  test('without anything to say tells the agent an empty object', async () => {
    const { scene, gateway, key } = await play('empty');
    const { body } = await gateway.call('POST', START, { key });
    await scene.kube.sessionInPhase(String(body['sessionId']), 'Running');
    expect(scene.deliveries()[0]?.body).toBe('{}');
  });

  test('with a flow tells the agent both, in an envelope that a header marks', async () => {
    const { scene, gateway, key } = await play('flow');
    const flow_config = 'initial_node: greet\nnodes: {}\n'.padEnd(256 * 1024, '#');
    const { body } = await gateway.call('POST', START, { key, body: { body: { a: 1 }, flow_config } });
    await scene.kube.sessionInPhase(String(body['sessionId']), 'Running');
    const [delivery] = scene.deliveries();
    expect(delivery?.headers).toMatchObject({ 'x-pcc-start-envelope': '1' });
    expect(JSON.parse(delivery?.body ?? '')).toEqual({ body: { a: 1 }, flow_config });
    const statusOf = async (more: object) => (await gateway.call('POST', START, { key, body: more })).status;
    expect(await statusOf({ flow_config: `${flow_config}#` })).toBe(413);
    expect(await statusOf({ flow_config, body: 'x'.repeat(750_000) })).toBe(413);
    expect(await statusOf({ flow_config: ' \n' })).toBe(400);
    expect(await statusOf({ flow_config: { nodes: {} } })).toBe(400);
  });

  test('of an agent of protocol Process tells it its body, in a Secret, and nothing else', async () => {
    const { scene, gateway, key } = await play('process');
    await scene.agent('process', 5);
    const start = '/v1/public/process/start';
    const refused = { status: 400, body: { code: 'GENERIC_BAD_REQUEST' } };
    await gateway.answers('POST', start, { key, body: { createDailyRoom: true } }, refused);
    const told = { body: { a: 1 }, transport: 'webrtc' };
    await gateway.answers('POST', start, { key, body: told }, { status: 200, body: { start: 'cold' } });
    const [session] = (await scene.kube.api.list(sessions, { namespace: scene.namespace })).items;
    expect(session?.spec).toMatchObject({ bodyFrom: { secretKeyRef: { key: 'body' } } });
    expect(session?.spec).not.toHaveProperty('sealedBody');
  });

  test('that is late is taken back with its Daily room', async () => {
    const daily = await playDaily();
    const config = { daily: { baseUrl: daily.baseUrl }, start: { timeoutSeconds: 3 } };
    const { scene, gateway, key, leader } = await play('late', { config });
    const data = { apiKey: Buffer.from('the-daily-key').toString('base64') };
    await scene.kube.api.create(secrets, scene.namespace, { metadata: { name: 'bullpen-daily' }, data });
    await leader.stop();
    const { status } = await gateway.call('POST', START, { key, body: { createDailyRoom: true } });
    expect(status).toBe(504);
    const nothingLeft = async (): Promise<boolean> => daily.rooms.size === 0 && (await sessionCount(scene)) === 0;
    await waitFor(nothingLeft, { what: 'the room and the Session to be gone', timeoutMs: 30_000, intervalMs: 20 });
    daily.close();
  });

  test('of a full Agent is refused, and leaves nothing behind', async () => {
    const { scene, gateway, key } = await play('full', { maxAgents: 2 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => gateway.call('POST', START, { key })));
    const count = (wanted: number): number => answers.filter(({ status }) => status === wanted).length;
    expect({ ok: count(200), full: count(429) }).toEqual({ ok: 2, full: 18 });
    for (const { headers, body } of answers.filter(({ status }) => status === 429)) {
      expect(headers.get('retry-after')).toBe('5');
      const counted = { activeSessions: expect.any(Number) as number, maxAgents: 2 };
      expect(body).toMatchObject({ code: 'PCC-AGENT-AT-CAPACITY', status: 429, ...counted });
    }
    expect(await sessionCount(scene)).toBe(2);
  });

  test('is refused in the order key, agent, size, readiness', async () => {
    const { scene, gateway, key } = await play('order');
    const large = { body: { text: 'x'.repeat(1_000_000) } };
    const none = '/v1/public/none/start';
    expect((await gateway.call('POST', none, { key: 'pk_wrong', body: large })).status).toBe(401);
    expect((await gateway.call('POST', none, { key, body: large })).status).toBe(404);
    await scene.kube.patchAgent(AGENT, { paused: true });
    await agentBecomes(scene, 'Paused');
    await gateway.answers('POST', START, { key }, { status: 400, body: { code: 'PCC-1001' } });
    expect((await gateway.call('POST', START, { key, body: large })).status).toBe(413);
    expect(await sessionCount(scene)).toBe(0);
  });

  test('with a key that has just been revoked is refused', async () => {
    const { scene, gateway, key } = await play('revoked');
    const { api } = scene.kube;
    const { items } = await api.list(apiKeys, { namespace: scene.namespace });
    for (const item of items)
      await api.patch(apiKeys, refOf(item), { type: 'merge', body: { spec: { revoked: true } } });
    const refused = async (): Promise<boolean> => (await gateway.call('POST', START, { key })).status === 401;
    await waitFor(refused, { what: 'the key to open nothing', timeoutMs: 30_000, intervalMs: 100 });
  });
});
