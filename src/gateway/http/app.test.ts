import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ApiKey } from '../../api/api-key.ts';
import { systemClock } from '../../kube/clock.ts';
import { KubeError } from '../../kube/errors.ts';
import { Store } from '../../kube/store.ts';
import { apiKeyOf } from '../../keys/api-key.ts';
import { Registry } from 'prom-client';
import { createGatewayMetrics } from '../../telemetry/gateway-metrics.ts';
import { createLogger, type Logger } from '../../telemetry/logger.ts';
import { AccessWatch } from '../auth/access-watch.ts';
import { Authenticator } from '../auth/authenticator.ts';
import { keyIndexes, KeyStore } from '../keys/key-store.ts';
import { Problem, problems, type ProblemName } from '../problems.ts';
import { createApp } from './app.ts';
import { route, type Route } from './route.ts';

const PRIVATE = 'sk_private';
const PUBLIC = 'pk_public';
/** Of other organizations. */
const OTHERS = ['sk_other', 'sk_third'] as const;
const servers: Server[] = [];
let lines: string[] = [];
let registry = new Registry();
let stopping = new AbortController();

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  lines = [];
  stopping = new AbortController();
});

function keys(): KeyStore {
  const store = new Store<ApiKey>({ indexes: keyIndexes });
  const make = (text: string, type: 'Public' | 'Private', namespace: string): ApiKey => {
    const { metadata, ...rest } = apiKeyOf(text, type, type);
    const { name = '' } = metadata;
    const stored = { name, namespace, uid: text, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
    return { ...rest, metadata: stored } as ApiKey;
  };
  const made = [make(PRIVATE, 'Private', 'calls'), make(PUBLIC, 'Public', 'calls')];
  store.replaceAll([...made, ...OTHERS.map((text) => make(text, 'Private', text.slice(3)))], '1');
  return new KeyStore(store);
}

function logger(): Logger {
  return createLogger({
    level: 'info',
    program: 'test',
    destination: { write: (line: string) => void lines.push(line) },
  });
}

const anything = { params: z.looseObject({}), query: z.looseObject({}), summary: '', problems: [] };

async function serve(...handlers: Partial<Route>[]): Promise<string> {
  const routes = handlers.map((given) =>
    route({
      method: 'get',
      path: '/v1/things',
      plane: 'private',
      reply: z.unknown(),
      ...anything,
      handle: () => Promise.resolve({ body: {} }),
      ...given,
    }),
  );
  registry = new Registry();
  const store = keys();
  const authenticator = new Authenticator({ keys: store });
  const app = createApp({
    routes,
    authenticator,
    logger: logger(),
    access: new AccessWatch({ authenticator, keys: store, clock: systemClock }),
    metrics: createGatewayMetrics(registry),
    stopping: stopping.signal,
    clock: systemClock,
    rates: { caller: { perSecond: 1000, burst: 1000 }, address: { perSecond: 0.001, burst: 5 } },
    trustedProxies: 0,
    checkReplies: true,
    documents: { json: {}, html: '' },
  });
  const server = createServer(app).listen(0);
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function get(url: string, { key = PRIVATE, ...init }: RequestInit & { key?: string } = {}): Promise<Response> {
  return await fetch(url, {
    ...init,
    headers: { authorization: `Bearer ${key}`, ...(init.headers as Record<string, string> | undefined) },
  });
}

/** The bytes of an answer, by the reads in which they came. */
async function raw(origin: string, request: string): Promise<string[]> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1');
  const reads: string[] = [];
  socket.on('data', (chunk) => reads.push(chunk.toString('latin1')));
  socket.write(request);
  await once(socket, 'close');
  return reads;
}

describe('what the official client needs of every server', () => {
  it('an answer is JSON with a length, and never empty', async () => {
    const response = await get(`${await serve({})}/v1/things`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(response.headers.get('content-length')).toBe('2');
  });

  it('a wrong public key is 401 and never 404, which the client would take for a success', async () => {
    const origin = await serve({ method: 'post', path: '/v1/public/:agentName/start', plane: 'public' });
    for (const key of ['pk_wrong', PRIVATE, '']) {
      const response = await get(`${origin}/v1/public/echo/start`, { method: 'POST', key });
      expect(response.status).toBe(401);
    }
  });

  it.each([50_000, 500_000])('head and body come in one piece, compressed where they are long: %i', async (size) => {
    const origin = await serve({ handle: () => Promise.resolve({ body: { text: 'x'.repeat(size) } }) });
    const head = `GET /v1/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${PRIVATE}\r\nconnection: close\r\n`;
    const [first = ''] = await raw(origin, `${head}accept-encoding: gzip, deflate\r\n\r\n`);
    const length = Number(/content-length: (\d+)/i.exec(first)?.[1]);
    expect(first.split('\r\n\r\n', 2)[1]?.length).toBe(length);
    expect(length).toBeLessThan(1500);
  });

  it('every code is a string, and the one of a failed login is "401"', async () => {
    const origin = await serve({});
    const response = await get(`${origin}/v1/things`, { key: 'sk_wrong' });
    expect(await response.json()).toEqual({ error: expect.any(String) as string, code: '401' });
    for (const { code } of Object.values(problems)) expect(typeof code).toBe('string');
  });

  it('a failure of ours has a number for its code, so that a deployment is polled again', () => {
    for (const { status, code } of Object.values(problems)) if (status >= 500) expect(code).toMatch(/^5\d\d$/);
  });

  it('a slash at the end of the host does no harm', async () => {
    expect((await get(`${await serve({})}//v1//things`)).status).toBe(200);
  });

  it('a 429 says so in every way in which it is read', async () => {
    const problem = new Problem('AtCapacity', { retryAfterSeconds: 4.2 });
    const origin = await serve({ handle: () => Promise.reject(problem) });
    const response = await get(`${origin}/v1/things`);
    expect(response.headers.get('retry-after')).toBe('5');
    const text = 'Service maximum agent instances reached';
    expect(await response.json()).toEqual({ status: 429, code: 'PCC-AGENT-AT-CAPACITY', error: text, message: text });
  });

  it.each([
    ['of a length that is known', (text: string): string | ReadableStream => text],
    ['of any length', (text: string): string | ReadableStream => new Blob([text]).stream()],
  ])('a body %s that is too large is refused, and whoever sends it learns so', async (_, bodyOf) => {
    const origin = await serve({
      method: 'post',
      handle: async ({ readJson }) => ({ body: (await readJson(100)).value }),
    });
    for (let count = 0; count < 20; count += 1) {
      const body = bodyOf(`"${'x'.repeat(3_000_000)}"`);
      const response = await get(`${origin}/v1/things`, { method: 'POST', body, duplex: 'half' });
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({ code: '413' });
    }
  });

  it('bodies of many callers are held only so far: others are told to come again, and it is over with them', async () => {
    const origin = await serve({
      method: 'post',
      handle: async ({ readJson }) => ({ body: { length: (await readJson(1_000_000)).text.length } }),
    });
    const sockets: Socket[] = [];
    let answers = '';
    /** Sends all but the last byte of so many large bodies. */
    const hold = (count: number, key: string): void => {
      const head = `POST /v1/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-length: 1000000\r\n\r\n"`;
      for (let each = 0; each < count; each += 1) {
        const socket = connect(Number(new URL(origin).port), '127.0.0.1');
        socket.on('error', () => undefined).on('data', (chunk) => (answers += chunk.toString()));
        socket.write(head + 'x'.repeat(999_998));
        sockets.push(socket);
      }
    };
    const refused = () => answers.match(/HTTP\/1.1 503[^]*?retry-after: 1\r/gi)?.length;
    const post = async (key: string): Promise<number> => {
      const headers = { authorization: `Bearer ${key}` };
      const body = `"${'x'.repeat(900_000)}"`;
      return (await fetch(`${origin}/v1/things`, { method: 'POST', headers, body })).status;
    };
    const [other, third] = OTHERS;
    // 16 MiB of one organization hold 16 of them, and leave room for another one.
    hold(20, PRIVATE);
    await expect.poll(refused, { timeout: 30_000 }).toBe(4);
    expect([await post(PRIVATE), await post(other)]).toEqual([503, 200]);
    hold(20, other);
    await expect.poll(refused, { timeout: 30_000 }).toBe(8);
    // 32 MiB hold one more.
    hold(3, third);
    await expect.poll(refused, { timeout: 30_000 }).toBe(10);
    expect(answers).not.toContain('HTTP/1.1 200');
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => post(PRIVATE), { timeout: 30_000 }).toBe(200);
  });

  it('replies that nobody takes are held only so far: the same organization gets no more large ones until then', async () => {
    const origin = await serve(
      { handle: () => Promise.resolve({ body: { text: 'x'.repeat(12_000_000) } }) },
      { path: '/v1/small', handle: () => Promise.resolve({ body: { text: 'x'.repeat(10_000) } }) },
      { path: '/v1/done', method: 'post', handle: () => Promise.resolve({ body: { text: 'x'.repeat(100_000) } }) },
    );
    const [other] = OTHERS;
    const ask = async (path: string, { key = PRIVATE, method = 'GET' } = {}): Promise<[number, string | null]> => {
      const response = await get(origin + path, { key, method });
      await response.body?.cancel();
      return [response.status, response.headers.get('retry-after')];
    };
    const sockets = Array.from({ length: 2 }, () => {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1');
      socket.write(`GET /v1/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${PRIVATE}\r\n\r\n`);
      return socket;
    });
    // 32 MiB hold both of them.
    await expect.poll(() => ask('/v1/things'), { timeout: 30_000 }).toEqual([503, '1']);
    expect(await ask('/v1/things', { key: other })).toEqual([200, null]);
    expect(await ask('/v1/small')).toEqual([200, null]);
    expect(await ask('/v1/done', { method: 'POST' })).toEqual([200, null]);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => ask('/v1/things'), { timeout: 30_000 }).toEqual([200, null]);
  });

  it('a connection on which more comes than anybody wants is closed', async () => {
    const origin = await serve({ method: 'post' });
    const socket = connect(Number(new URL(origin).port), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write('POST /v1/things HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`;
    const pump = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
    await new Promise((resolve) => socket.once('close', resolve));
  });
});

describe('an error', () => {
  const unknown = new KubeError('GET /secret/path: 500', { code: 500, reason: 'InternalError', outcome: 'unknown' });
  it.each<[string, Error, ProblemName]>([
    ['that nobody expected', new Error('password=hunter2'), 'Internal'],
    ['of Kubernetes', unknown, 'Unavailable'],
  ])('%s tells the caller nothing of its cause', async (_, error, name) => {
    const origin = await serve({ handle: () => Promise.reject(error) });
    const response = await get(`${origin}/v1/things`);
    expect(response.status).toBe(problems[name].status);
    expect(await response.json()).toEqual({ error: problems[name].error, code: problems[name].code });
  });

  it.each([
    ['GET', '/nothing', 404],
    ['POST', '/v1/things', 405],
    ['GET', '/v1/%zz', 400],
  ])('for %s %s is the same JSON as all others', async (method, path, status) => {
    const response = await get(`${await serve({ path: '/v1/:thing' }, {})}${path}`, { method });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: expect.any(String) as string, code: expect.any(String) as string });
  });
});

describe('a key', () => {
  it('of another organization than that of the path opens nothing', async () => {
    const origin = await serve({ path: '/v1/organizations/:org/services', plane: 'organization' });
    expect((await get(`${origin}/v1/organizations/calls/services`)).status).toBe(200);
    expect((await get(`${origin}/v1/organizations/others/services`)).status).toBe(401);
  });

  it('that starts sessions does nothing else', async () => {
    expect((await get(`${await serve({})}/v1/things`, { key: PUBLIC })).status).toBe(401);
  });

  it('is not in the log, nor is what was said', async () => {
    const origin = await serve({
      method: 'post',
      handle: async ({ readJson }) => ({ body: (await readJson(1000)).value }),
    });
    await get(`${origin}/v1/things?q=hunter2`, { method: 'POST', body: '{"a":"hunter2"}' });
    await expect.poll(() => lines.length).toBe(1);
    expect(lines.join()).toContain('"path":"/v1/things"');
    expect(lines.join()).not.toMatch(/hunter2|sk_private/);
  });
});

describe('the metrics', () => {
  it('count requests by route, never by path, and those that nobody waited for', async () => {
    const origin = await serve(
      { path: '/v1/things/:id' },
      { path: '/v1/slow', handle: () => new Promise(() => undefined) },
    );
    await get(`${origin}/v1/things/one`);
    await get(`${origin}/v1/things/two`, { key: 'sk_wrong' });
    await get(`${origin}/v1/nothing`, { method: 'PROPFIND' });
    const pending = get(`${origin}/v1/slow`, { signal: AbortSignal.timeout(100) });
    await expect(pending).rejects.toThrow();
    const line = async (labels: string): Promise<boolean> =>
      (await registry.metrics()).includes(`bullpen_gateway_requests_total{${labels}} 1\n`);
    await expect.poll(() => line('route="/v1/slow",method="GET",code="499"')).toBe(true);
    expect(await line('route="/v1/things/:id",method="GET",code="200"')).toBe(true);
    expect(await line('route="/v1/things/:id",method="GET",code="401"')).toBe(true);
    expect(await line('route="",method="other",code="404"')).toBe(true);
    expect(await registry.metrics()).toContain('bullpen_gateway_requests_in_flight 0\n');
  });
});

describe('too many requests', () => {
  it('without a key are told to come back later', async () => {
    const origin = await serve({});
    const statuses = [];
    for (let count = 0; count < 7; count += 1)
      statuses.push((await get(`${origin}/v1/things`, { key: 'sk_x' })).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
    expect((await get(`${origin}/v1/things`)).status).toBe(200);
  });
});

describe.each(['/docs', '/openapi.json'])('%s', (path) => {
  it('is for anybody, as often as an address may ask without a key', async () => {
    const origin = await serve({});
    expect((await fetch(`${origin}${path}`)).status).toBe(200);
    const all = await Promise.all(Array.from({ length: 50 }, () => fetch(`${origin}${path}`)));
    expect(all.filter(({ status }) => status === 429).length).toBeGreaterThan(20);
  });
});

describe('a browser', () => {
  it('may call the public plane from any page, and no other', async () => {
    const origin = await serve({ method: 'post', path: '/v1/public/:agentName/start', plane: 'public' }, {});
    const asked = await fetch(`${origin}/v1/public/echo/start`, { method: 'OPTIONS' });
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-headers')).toContain('authorization');
    expect((await get(`${origin}/v1/things`)).headers.has('access-control-allow-origin')).toBe(false);
  });
});

describe('a request', () => {
  it('has an id in its answer: its own, where that is a decent one', async () => {
    const origin = await serve({});
    const idOf = async (id?: string): Promise<string | null> =>
      (await get(`${origin}/v1/things`, { headers: id === undefined ? {} : { 'x-request-id': id } })).headers.get(
        'x-request-id',
      );
    expect(await idOf('abc-1')).toBe('abc-1');
    expect(await idOf('x'.repeat(200))).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf()).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('with a parameter that is not valid says which one', async () => {
    const origin = await serve({ query: z.looseObject({ limit: z.coerce.number().int().optional() }) });
    const response = await get(`${origin}/v1/things?limit=many`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      code: 'GENERIC_BAD_REQUEST',
      error: expect.stringContaining('limit') as string,
    });
  });

  it('that nobody waits for any more is told to its handler', async () => {
    const gone = Promise.withResolvers<undefined>();
    const asked = Promise.withResolvers<undefined>();
    const origin = await serve({
      handle: async ({ signal }) => {
        signal.addEventListener('abort', () => gone.resolve(undefined));
        asked.resolve(undefined);
        return await gone.promise.then(() => ({ body: {} }));
      },
    });
    const stop = new AbortController();
    const pending = get(`${origin}/v1/things`, { signal: stop.signal });
    await asked.promise;
    stop.abort();
    await expect(pending).rejects.toThrow();
    await gone.promise;
  });
});
