import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KubeClient, type WatchEvent } from './client.ts';
import { fixedCredentials } from './credentials.ts';
import { KubeMetrics } from './metrics.ts';
import { pods } from './resources.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { testObject } from './testing/objects.ts';
import { ScriptedServer } from './testing/scripted-server.ts';

let server: ScriptedServer;
let client: KubeClient;
let registry: Registry;
let stop: AbortController;

beforeEach(async () => {
  server = new ScriptedServer();
  registry = new Registry();
  stop = new AbortController();
  client = new KubeClient({
    server: await server.listen(),
    credentials: fixedCredentials(),
    userAgent: 'test/1',
    clock: new FakeClock(),
    random: () => 1,
    metrics: new KubeMetrics(registry),
  });
});

afterEach(async () => {
  await client.close();
  await server.close();
});

function watch(): AsyncIterator<WatchEvent<(typeof pods)['_type'] & object>> {
  return client.watch(pods, { resourceVersion: '1', signal: stop.signal })[Symbol.asyncIterator]();
}

it('yields events, bookmarks and errors as they are on the wire, and ends when the server ends', async () => {
  const events = watch();
  const first = events.next();
  const request = await server.next();
  await request.event('ADDED', testObject('p', 2));
  await request.event('BOOKMARK', { metadata: { resourceVersion: '3' } });
  await request.event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
  request.end();
  expect((await first).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'p' } } });
  expect((await events.next()).value).toEqual({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '3' } } });
  expect((await events.next()).value).toMatchObject({ type: 'ERROR', object: { code: 410 } });
  expect((await events.next()).done).toBe(true);
  expect(await registry.metrics()).toMatch(/rest_client_requests_total{code="200",method="GET",host=".*"} 1/);
});

it('throws when the connection breaks, and when the server refuses', async () => {
  const broken = watch();
  const first = expect(broken.next()).rejects.toMatchObject({ reason: 'ConnectionLost' });
  const request = await server.next();
  await request.send('{"type":');
  request.reset();
  await first;
  const refused = expect(watch().next()).rejects.toMatchObject({ code: 410, reason: 'Expired' });
  (await server.next()).status(410, 'Expired');
  await refused;
});

it('reads no more than the beginning of a huge refusal', async () => {
  const refused = expect(watch().next()).rejects.toMatchObject({ code: 500 });
  const request = await server.next();
  request.response.writeHead(500);
  for (let i = 0; i < 64; i++) request.response.write(Buffer.alloc(1024 * 1024, 'x'));
  await refused;
  await request.closed;
});

it('refuses a line without end', async () => {
  const refused = expect(watch().next()).rejects.toMatchObject({ reason: 'InvalidAnswer' });
  const request = await server.next();
  request.open();
  for (let i = 0; i < 17; i++) request.response.write(Buffer.alloc(1024 * 1024, 'x'));
  await refused;
  await request.closed;
});

it('closes the connection when the signal is aborted, and when nobody reads on', async () => {
  const aborted = expect(watch().next()).rejects.toMatchObject({ reason: 'Aborted' });
  const first = await server.next();
  first.open();
  stop.abort();
  await aborted;
  await first.closed;

  stop = new AbortController();
  const left = watch();
  const next = left.next();
  const second = await server.next();
  await second.event('ADDED', testObject('p', 2));
  await next;
  await left.return?.();
  await second.closed;
});

it('takes no connection from requests', async () => {
  const watches = Array.from({ length: 40 }, () => watch().next());
  for (let i = 0; i < 40; i++) (await server.next()).open();
  const got = client.get(pods, { namespace: 'ns', name: 'p' });
  (await server.next()).json(200, testObject('p', 1));
  expect((await got).metadata.name).toBe('p');
  stop.abort();
  await Promise.allSettled(watches);
});
