import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeyOf } from '../../src/keys/api-key.ts';
import { configMaps } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { apiRoutes } from '../support/api-routes.ts';
import { ChaosProxy, type Fault, type ProxiedCall } from '../support/chaos-proxy.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { Stage, type Scene } from '../support/stage.ts';
import { wire, wireText, type WireAnswer, type WireRequest } from '../support/wire.ts';

/**
 * Pipecat's official client takes some answers for something else than they are: for a success, or for the end of all trying. These are its
 * ten traps, and the rules for a server that follow from them, on the wire: a gateway with the chart's rights, and an API server.
 */
let stage: Stage;
let scene: Scene;
let other: Scene;
let proxy: ChaosProxy;
/** Between the controller and the API server. */
let ofController: ChaosProxy;
let gateway: GatewayProcess;
let start: string;
let token: string;
let org: string;

const LONG = { bot: { afterMs: 3_600_000 } };
const IMAGE = 'registry.example/agent:1';
const START_TIMEOUT_SECONDS = 8;

beforeAll(async () => {
  const cluster = await connectCluster();
  stage = await Stage.open(cluster, 'traps', { nodes: 4 });
  [scene, other] = await Promise.all([stage.scene('own'), stage.scene('other')]);
  [proxy, ofController] = await Promise.all([ChaosProxy.start(cluster), ChaosProxy.start(cluster)]);
  const watchNamespaces = [scene.namespace, other.namespace];
  const config = { start: { timeoutSeconds: START_TIMEOUT_SECONDS } };
  [gateway] = await Promise.all([
    scene.gateway({ watchNamespaces, proxy, config }),
    scene.leader({ proxy: ofController }),
  ]);
  [start, token] = await Promise.all([scene.key('Public'), scene.key('Cli')]);
  org = `/v1/organizations/${scene.namespace}`;
  await gateway.answers('GET', `${org}/services`, { key: token }, { status: 200 });
  await gateway.answers('POST', '/v1/public/none/start', { key: start }, { status: 404 });
});
afterAll(async () => {
  await stage?.close();
  await Promise.all([proxy?.close(), ofController?.close()]);
});

/** An agent of that name that can be started. */
async function agent(name: string, maxAgents = 5): Promise<void> {
  await scene.httpAgent(name, maxAgents, {}, LONG);
  await gateway.answers(
    'GET',
    `${org}/services/${name}`,
    { key: token },
    { status: 200, body: { body: { ready: true } } },
  );
}

async function started(name: string): Promise<string> {
  const { status, body } = await gateway.call('POST', `/v1/public/${name}/start`, { key: start });
  expect({ status, body }).toMatchObject({ status: 200 });
  return String(body['sessionId']);
}

const call = (method: string, path: string, body?: unknown) =>
  gateway.call(method, path, { key: token, ...(body !== undefined && { body }) });

const ask = (method: string, path: string, request: WireRequest = {}): Promise<WireAnswer> =>
  wire(gateway.origin, method, path, { key: token, ...request });

/** What the client reads as an answer: JSON that says something, in one piece. */
function expectAnswer({ status, headers, text, reads }: WireAnswer, wanted: number, what: string): unknown {
  expect(status, `${what}: ${text.slice(0, 300)}`).toBe(wanted);
  expect(headers['content-type'], what).toMatch(/^application\/json(;|$)/);
  expect(headers['transfer-encoding'], what).toBeUndefined();
  const all = Buffer.concat(reads);
  expect(Number(headers['content-length']), what).toBe(all.length - all.indexOf('\r\n\r\n') - 4);
  expect(reads, `${what} in one read`).toHaveLength(1);
  const value = JSON.parse(text) as Record<string, unknown>;
  expect(Object.keys(value).length, what).toBeGreaterThan(0);
  if (status >= 400)
    expect(value, what).toMatchObject({
      error: expect.stringMatching(/./) as string,
      code: expect.any(String) as string,
    });
  return value;
}

/** What the gateway asks the API server about Agents, beside its watch. */
const isLook = ({ method, resource, watch, stream }: ProxiedCall): boolean =>
  method === 'GET' && resource === 'agents' && !watch && !stream;

describe('the ten traps of the official client', () => {
  test('1. a start that is answered with nothing, without JSON or with a redirect counts as started: every one has an answer', async () => {
    await agent('start', 3);
    const ends: [string, number, WireRequest, string?][] = [
      ['of an unknown agent', 404, {}, '/v1/public/none/start'],
      ['with a wrong key', 401, { key: 'pk_wrong' }],
      ['of too large a body', 413, { body: JSON.stringify({ body: 'x'.repeat(1_100_000) }) }],
      ['of half a body', 400, { body: '{"body":' }],
      ['of null', 400, { body: 'null' }],
      ['by WebSocket', 501, { body: '{"transport":"websocket"}' }],
      ['with what was not asked for', 200, { body: '{"createDailyRoom":false,"body":{},"x":1}' }],
      ['at a path with slashes too many', 200, {}, '//v1//public/start//start/'],
    ];
    for (const [what, status, request, path = '/v1/public/start/start'] of ends)
      expectAnswer(await ask('POST', path, { key: start, ...request }), status, what);
    // Nobody decides, for longer than a caller waits. The controller only does not see the Session: were it frozen as a whole, it could
    // not renew its lease for about as long as it may go without, and would be lost to the tests that follow.
    ofController.watches('sessions').freeze();
    const late = await ask('POST', '/v1/public/start/start', { key: start });
    ofController.watches('sessions').thaw();
    expectAnswer(late, 504, 'that takes too long');
    const statuses = [];
    for (let count = 0; count < 4; count += 1)
      statuses.push((await ask('POST', '/v1/public/start/start', { key: start })).status);
    expect(statuses).toContain(429);
    const full = await ask('POST', '/v1/public/start/start', { key: start, headers: { 'accept-encoding': 'gzip' } });
    const said = expectAnswer(full, 429, 'of an agent that is full');
    expect(said).toMatchObject({ status: 429, message: expect.any(String) as string, code: 'PCC-AGENT-AT-CAPACITY' });
  });

  test('2. 404 of a start counts as started: a key that is wrong or another organization’s is 401, whatever the agent', async () => {
    await agent('known');
    const foreign = await other.key('Public');
    await gateway.answers('POST', '/v1/public/known/start', { key: foreign }, { status: 404 });
    const revoked = await scene.key('Public');
    await gateway.answers('POST', '/v1/public/none/start', { key: revoked }, { status: 404 });
    const id = apiKeyOf(revoked, 'Public', '').metadata.name ?? '';
    expect((await call('DELETE', `${org}/apiKeys/${id}`)).status).toBe(200);
    for (const name of ['known', 'none', 'No-Name', '%00', 'a%2fb']) {
      for (const key of ['pk_wrong', revoked, token, '', 'x'.repeat(9_000), undefined]) {
        const answer = await ask('POST', `/v1/public/${name}/start`, { key });
        expect(expectAnswer(answer, 401, `${name} with ${String(key)}`)).toMatchObject({ code: '401' });
      }
    }
    // Where the path names the organization, another one's key is as wrong.
    const theirs = await other.key('Cli');
    await gateway.answers('GET', '/v1/users', { key: theirs }, { status: 200 });
    const answer = await ask('GET', `${org}/services/known`, { key: theirs });
    expect(expectAnswer(answer, 401, 'a look before the start')).toMatchObject({ code: '401' });
  });

  test('3. 404 of a stop counts as stopped: only what does not exist is 404, and what could not be stopped says so', async () => {
    await agent('stop');
    const id = await started('stop');
    const at = `${org}/services/stop/sessions/${id}`;
    const rule = proxy.when('PATCH sessions', { status: 503, asStatus: 'ServiceUnavailable' });
    expect(expectAnswer(await ask('DELETE', at), 503, 'without Kubernetes')).toMatchObject({ code: '503' });
    rule.end();
    expectAnswer(await ask('DELETE', at, { key: 'pcc_pat_wrong' }), 401, 'with a wrong token');
    expectAnswer(await ask('DELETE', `${org}/services/stop/sessions/nonsense`), 400, 'of what is no id');
    expect((await scene.kube.session(id)).spec.stop).not.toBe(true);
    expectAnswer(await ask('DELETE', at), 200, 'of one that runs');
    await scene.kube.sessionInPhase(id, 'Ended');
    expectAnswer(await ask('DELETE', at), 200, 'of one that is over');
  });

  test('4. deployments are read once: head and body come in one piece, compressed or not', async () => {
    await agent('deployed');
    const at = `${org}/services/deployed/deployments`;
    for (const headers of [{}, { 'accept-encoding': 'gzip, deflate' }]) {
      for (let count = 0; count < 20; count += 1) {
        const answer = await ask('GET', at, { headers });
        const { deployments } = expectAnswer(answer, 200, 'deployments') as { deployments: object[] };
        expect(deployments[0]).toMatchObject({
          id: expect.any(String) as string,
          createdAt: expect.stringMatching(/Z$/) as string,
          updatedAt: expect.stringMatching(/Z$/) as string,
          manifest: { spec: { image: expect.any(String) as string, dailyNodeType: expect.any(String) as string } },
        });
      }
    }
  });

  test('5. a code that is no string is not read: 401 is "401" by every route that the client calls', async () => {
    const routes = (await apiRoutes(gateway)).filter(({ plane }) => plane !== 'private');
    expect(routes.length).toBeGreaterThan(20);
    for (const { method, path } of routes) {
      const filled = path.replace('{org}', scene.namespace).replace(/\{\w+\}/g, 'none');
      for (const key of ['pcc_pat_wrong', 'sk_wrong', 'pk_wrong', undefined]) {
        const answer = await ask(method, filled, { key });
        expect(expectAnswer(answer, 401, `${method} ${path}`)).toMatchObject({ code: '401' });
      }
    }
  });

  test('6. a fault of the server ends a deployment unless its code is a number: those of the poll have one', async () => {
    const faults: Fault[] = [{ status: 500 }, { status: 503 }, { status: 429 }, 'lose-request', 'lose-reply'];
    for (const fault of faults) {
      const rule = proxy.when(isLook, fault);
      const answer = await ask('GET', `${org}/services/deploying`);
      rule.end();
      expect(answer.status, JSON.stringify(fault)).toBeGreaterThanOrEqual(500);
      const said = expectAnswer(answer, answer.status, JSON.stringify(fault));
      expect(said).toMatchObject({ code: String(answer.status) });
    }
    expectAnswer(await ask('GET', `${org}/services/deploying`), 404, 'when it is over');
  });

  test('7. a deployment crashes without a default region: it is there, and one of the regions', async () => {
    const { properties } = (await call('GET', `${org}/properties`)).body as { properties: { defaultRegion: string } };
    const { regions } = (await call('GET', `${org}/regions`)).body as { regions: { code: string }[] };
    expect(regions.map(({ code }) => code)).toContain(properties.defaultRegion);
    const { body: schema } = await call('GET', `${org}/properties/schema`);
    expect(schema).toMatchObject({ properties: { defaultRegion: { availableValues: [properties.defaultRegion] } } });
    const changed = await call('PATCH', `${org}/properties`, properties);
    expect(changed).toMatchObject({ status: 200, body: { properties } });
  });

  test('8. a public key is copied from the list: it is there in full for ever, and those that are good come first', async () => {
    const made: { id: string; key: string; name: string }[] = [];
    for (const name of ['first', 'second', 'third']) {
      const { body } = await call('POST', `${org}/apiKeys`, { name, type: 'public' });
      made.push(body as (typeof made)[number]);
    }
    const [, second, third] = made;
    expect((await call('DELETE', `${org}/apiKeys/${String(third?.id)}`)).status).toBe(200);
    // Also by a gateway that has never seen them made.
    const fresh = await scene.gateway({ watchNamespaces: [scene.namespace] });
    await fresh.answers('GET', '/v1/users', { key: token }, { status: 200 });
    const { body } = await fresh.call('GET', `${org}/apiKeys`, { key: token });
    const listed = body['public'] as { id: string; key: string; revoked: boolean; createdAt: string }[];
    for (const { id, key, name } of made)
      expect(listed).toContainEqual(expect.objectContaining({ id, key, metadata: { name } }));
    expect(listed.every(({ createdAt }) => createdAt.endsWith('Z'))).toBe(true);
    const order = listed.map(({ revoked }) => Number(revoked));
    expect(order).toEqual([...order].sort());
    expect(listed.find(({ id }) => id === third?.id)?.revoked).toBe(true);
    await fresh.answers('POST', '/v1/public/none/start', { key: String(second?.key) }, { status: 404 });
  });

  test('9. GET, PUT and DELETE may come twice: at the same time or one after the other they do what once does', async () => {
    await agent('twice');
    const id = await started('twice');
    const { body: key } = await call('POST', `${org}/apiKeys`, { name: 'twice', type: 'public' });
    const values = { name: 'twice', isImagePullSecret: false, secretKey: 'A', secretValue: '1' };
    const pull = { isImagePullSecret: true, secretValue: 'dXNlcjp0b2tlbg==', host: 'registry.example' };
    const gone = [200, 404];
    const requests: [string, string, unknown, number[]][] = [
      ['GET', '/services/twice', undefined, [200]],
      ['PUT', '/services', { serviceName: 'twice', autoScaling: { minAgents: 0 } }, [200]],
      ['PUT', '/secrets/twice', values, [202]],
      ['PUT', '/secrets/twice', { ...values, secretKey: 'B' }, [202]],
      ['PUT', '/secrets/twice-pull', pull, [202]],
      ['DELETE', '/secrets/twice/A', undefined, gone],
      ['DELETE', '/secrets/twice', undefined, gone],
      ['DELETE', `/services/twice/sessions/${id}`, undefined, [200]],
      ['DELETE', `/apiKeys/${String(key['id'])}`, undefined, [200]],
      ['DELETE', '/services/twice', undefined, gone],
    ];
    for (const [method, path, body, wanted] of requests) {
      const both = await Promise.all([1, 2].map(() => call(method, `${org}${path}`, body)));
      const again = await call(method, `${org}${path}`, body);
      const statuses = [...both, again].map(({ status }) => status);
      expect(statuses, `${method} ${path}: ${JSON.stringify(both.map((each) => each.body))}`).toContain(wanted[0]);
      for (const status of statuses) expect(wanted, `${method} ${path}: ${statuses.join()}`).toContain(status);
    }
    // Also when the first one was cut off before it had noted what it made.
    await scene.kube.api.delete(configMaps, { namespace: scene.namespace, name: 'bullpen-secret-sets' });
    expect(await call('PUT', `${org}/secrets/twice-pull`, pull)).toMatchObject({ status: 202 });
    const { body: left } = await call('GET', `${org}/secrets`);
    expect(left['sets']).toEqual([expect.objectContaining({ name: 'twice-pull' })]);
  });

  test('10. flags that are in its documentation and not in the client: no page of ours tells anybody to type them', async () => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const pages = ['README.md', 'docs/rest-api.md', 'charts/bullpen/templates/NOTES.txt'];
    const texts = await Promise.all(pages.map((page) => readFile(`${root}${page}`, 'utf8')));
    const commands = texts.flatMap(
      (text) => text.replaceAll('\\\n', ' ').match(/\b(pipecat cloud|pcc) [^`\n]+/g) ?? [],
    );
    expect(commands.length).toBeGreaterThan(1);
    for (const command of commands) {
      expect(command).not.toMatch(/--data-file|--session\b(?!-id)/);
      if (/ deploy [a-z]/.test(command)) expect(command).toMatch(/--no-credentials|-nc\b|--credentials|-c\b/);
      if (/ agent (start|stop|delete) /.test(command)) expect(command).toMatch(/--force|-f\b/);
    }
  });
});

describe('the rules for a server that follow', () => {
  const nonsense: [string, string, number][] = [
    ['a path that there is not', 'GET /v1/none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404],
    ['a path outside', 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404],
    ['a method that there is not', 'PATCH /v1/agents HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 405],
    ['a path that cannot be read', 'GET /v1/agents/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 400],
    ['every path', 'OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404],
    ['another host', 'GET http://y/v1/agents HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 404],
    ['no host', 'GET /v1/agents HTTP/1.1\r\nconnection: close\r\n\r\n', 400],
    ['an old protocol', 'GET /v1/agents HTTP/1.0\r\n\r\n', 401],
    ['an expectation', 'GET /v1/agents HTTP/1.1\r\nhost: x\r\nexpect: wonders\r\nconnection: close\r\n\r\n', 401],
    ['two lengths', 'POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}', 400],
    [
      'a length and none',
      'POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}',
      400,
    ],
    ['headers too large', `GET /v1/agents HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
    [
      'a header over two lines',
      'GET /v1/agents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer\r\n\tx\r\nconnection: close\r\n\r\n',
      400,
    ],
    ['no HTTP', 'hello\r\n\r\n', 400],
  ];
  test.each(nonsense)('rule 1: one form of errors, also for %s', async (what, sent, status) => {
    expectAnswer(await wireText(gateway.origin, sent), status, what);
  });

  test('rule 4: a start is answered when its Session is there, and has its pod', async () => {
    await agent('recorded');
    const { status } = await scene.kube.session(await started('recorded'));
    expect(status?.podUID).toBeDefined();
  });

  test('rules 6 and 7: what is not known is left out, and times are texts that end in Z', async () => {
    await agent('shown');
    const id = await started('shown');
    const at = `${org}/services/shown`;
    const mayBeNull = ['endedAt', 'botStartSeconds', 'coldStart', 'completionStatus', 'resourceMetrics', 'audioFilter'];
    for (const path of [`${org}/services`, at, `${at}/deployments`, `${at}/sessions`, `${at}/sessions/${id}`]) {
      const { status, body } = await call('GET', path);
      expect(status, path).toBe(200);
      JSON.stringify(body, (name, value: unknown) => {
        if (value === null) expect(mayBeNull, `${path} ${name}`).toContain(name);
        else if (/(At|Ts)$/.test(name)) expect(value, `${path} ${name}`).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
        return value;
      });
    }
    const { sessions } = (await call('GET', `${at}/sessions`)).body as { sessions: object[] };
    for (const name of mayBeNull.slice(0, 4)) expect(sessions[0]).toHaveProperty(name);
  });

  test('rule 8: what is not known in a body or a query is nobody’s mistake', async () => {
    const more = {
      krispViva: {},
      enableKrisp: false,
      enableIntegratedKeysProxy: false,
      websocketAuth: 'none',
      x: [null],
    };
    const given = { serviceName: 'unknowing', image: IMAGE, autoScaling: { minAgents: 0 }, ...more };
    const created = await call('POST', `${org}/services?x=1`, given);
    expect(created).toMatchObject({ status: 200 });
    const { serviceName, autoScaling } = given;
    expect(await call('PUT', `${org}/services`, { serviceName, autoScaling, ...more })).toMatchObject({ status: 200 });
    expect((await call('GET', `${org}/services?region=default&include=git&include=none`)).status).toBe(200);
    expect((await call('DELETE', `${org}/services/unknowing`)).status).toBe(200);
  });

  test('rule 9: the key of Daily is asked for, and there is nothing to say', async () => {
    expect(await call('GET', `${org}/daily`)).toMatchObject({ status: 200, body: {} });
  });

  test('rule 11: a browser may send its key from any page, and slashes too many are none', async () => {
    const asked = await wire(gateway.origin, 'OPTIONS', '//v1/public/any/start', {
      headers: { origin: 'https://page.example', 'access-control-request-method': 'POST' },
    });
    expect(asked.headers['access-control-allow-origin']).toBe('*');
    expect(asked.headers['access-control-allow-headers']).toMatch(/authorization, content-type/);
    expect(asked.headers['access-control-allow-credentials']).toBeUndefined();
    expectAnswer(await ask('GET', `/${org}//services`), 200, 'slashes');
  });

  test.each(['github/installation', 'spend-limit', 'builds', 'builds/x', 'registry-keys', 'agent-profiles'])(
    'rule 12: what is not there at all is 404 in the form of all errors, or an empty list: %s',
    async (path) => {
      const answer = await ask('GET', `${org}/${path}`);
      if (answer.status !== 200) expect(expectAnswer(answer, 404, path)).toMatchObject({ code: '404' });
      else expect(Object.values(expectAnswer(answer, 200, path) as object).some(Array.isArray)).toBe(true);
    },
  );
});
