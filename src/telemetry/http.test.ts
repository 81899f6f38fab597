import { connect } from 'node:net';
import { once } from 'node:events';
import { Gauge, Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { runChecks, type Check } from './checks.ts';
import { startHealthServer, type HealthServer } from './http.ts';
import { createLogger } from './logger.ts';

const well: Check = { name: 'loop', problem: () => undefined };
let server: HealthServer | undefined;
const logged: string[] = [];

afterEach(async () => {
  await server?.close(0);
  server = undefined;
  logged.length = 0;
});

async function start(options: { live?: Check[]; ready?: Check[]; registry?: Registry } = {}) {
  const logger = createLogger({ level: 'info', program: 'test', destination: { write: (line) => logged.push(line) } });
  const { live = [well], ready = [well], registry = new Registry() } = options;
  server = await startHealthServer({ port: 0, host: '127.0.0.1', registry, live, ready, logger });
  const base = `http://127.0.0.1:${server.port}`;
  return { port: server.port, get: (path: string, init?: RequestInit) => fetch(base + path, init) };
}

test('health and readiness are told apart, each with its checks', async () => {
  const { get } = await start({ ready: [well, { name: 'caches', problem: () => 'pods are not listed yet' }] });
  const healthz = await get('/healthz');
  expect([healthz.status, await healthz.text()]).toEqual([200, '[+]loop ok\nok\n']);
  const readyz = await get('/readyz');
  expect([readyz.status, await readyz.text()]).toEqual([
    503,
    '[+]loop ok\n[-]caches: pods are not listed yet\nnot ok\n',
  ]);
});

test('a check that throws is a problem, not a crash', () => {
  const broken: Check = {
    name: 'caches',
    problem: () => {
      throw new Error('no idea');
    },
  };
  expect(runChecks([broken])).toEqual({ ok: false, text: '[-]caches: no idea\nnot ok\n' });
});

test('metrics come in the text format of Prometheus, and no header names the server', async () => {
  const registry = new Registry();
  new Gauge({ name: 'up_and_running', help: 'Test.', registers: [registry] }).set(1);
  const { get } = await start({ registry });
  const response = await get('/metrics');
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await response.text()).toContain('up_and_running 1\n');
  expect([...response.headers.keys()].sort()).not.toContain('x-powered-by');
});

test('scrapes at the same time share one rendering', async () => {
  const registry = new Registry();
  let rendered = 0;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const collect = async () => {
    rendered++;
    await promise;
  };
  new Gauge({ name: 'slow', help: 'Test.', registers: [registry], collect });
  const { get } = await start({ registry });
  const first = get('/metrics');
  await expect.poll(() => rendered).toBe(1);
  const second = get('/metrics');
  await get('/healthz');
  resolve(undefined);
  const texts = await Promise.all([(await first).text(), (await second).text()]);
  expect(texts[0]).toBe(texts[1]);
  expect(rendered).toBe(1);
});

test('a metric that cannot be read gives 500 without details, and a line in the log', async () => {
  const registry = new Registry();
  const collect = () => {
    throw new Error('inner detail');
  };
  new Gauge({ name: 'broken', help: 'Test.', registers: [registry], collect });
  const { get } = await start({ registry });
  const response = await get('/metrics');
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain('inner detail');
  expect(logged.join('')).toContain('inner detail');
});

test('other paths and methods are refused', async () => {
  const { get } = await start();
  expect((await get('/')).status).toBe(404);
  expect((await get('/healthz', { method: 'POST', body: 'x'.repeat(100) })).status).toBe(405);
  expect((await get('/healthz', { method: 'HEAD' })).status).toBe(200);
  expect((await get('/healthz', { headers: { long: 'x'.repeat(20_000) } })).status).toBe(431);
});

test('closing does not wait for connections that ask nothing', async () => {
  const { port, get } = await start();
  await get('/healthz');
  const silent = connect(port, '127.0.0.1');
  await once(silent, 'connect');
  const closed = once(silent, 'close');
  await server?.close(50);
  await closed;
});

test('a port that is taken rejects the start', async () => {
  const { port } = await start();
  const again = { port, host: '127.0.0.1', registry: new Registry(), live: [], ready: [] };
  const logger = createLogger({ level: 'silent', program: 'test' });
  await expect(startHealthServer({ ...again, logger })).rejects.toThrow('EADDRINUSE');
});
