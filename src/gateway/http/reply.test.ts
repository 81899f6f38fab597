import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { fixedReply, sendJson } from './reply.ts';

const servers: Server[] = [];
const text = '<p>says the same to everybody</p>'.repeat(100);

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function call(listener: RequestListener, method: string, headers = {}): Promise<[IncomingMessage, Buffer]> {
  const server = createServer(listener).listen(0);
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const request = ask({ port, method, headers, agent: false }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return [response, await buffer(response)];
}

test('a fixed reply is compressed for who can read that, and says on what that depends', async () => {
  const page = fixedReply('text/html; charset=utf-8', text, { 'x-of': 'its own' });
  const [response, bytes] = await call(page, 'GET', { 'accept-encoding': 'gzip, deflate' });
  expect(response.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-encoding': 'gzip',
    'content-length': String(bytes.length),
    vary: 'accept-encoding',
    'x-of': 'its own',
  });
  expect(gunzipSync(bytes).toString()).toBe(text);
  const [plain, same] = await call(page, 'GET');
  expect(plain.headers).not.toHaveProperty('content-encoding');
  expect(plain.headers.vary).toBe('accept-encoding');
  expect(same.toString()).toBe(text);
});

test('to HEAD a fixed reply says how long it is, and nothing else', async () => {
  const [response, bytes] = await call(fixedReply('text/html', text), 'HEAD');
  expect(response.headers['content-length']).toBe(String(text.length));
  expect(bytes).toHaveLength(0);
});

test('a large reply is compressed while others are served', async () => {
  const body = Array.from({ length: 20_000 }, (_, index) => `line ${String(index)}`);
  const sentAtOnce: boolean[] = [];
  const listener: RequestListener = (request, answer) => {
    sendJson(request, answer, 200, request.method === 'GET' ? body : body.slice(0, 1000));
    sentAtOnce.push(answer.headersSent);
  };
  const [response, bytes] = await call(listener, 'GET', { 'accept-encoding': 'gzip' });
  expect(response.headers).toMatchObject({ 'content-encoding': 'gzip', 'content-length': String(bytes.length) });
  expect(JSON.parse(gunzipSync(bytes).toString())).toEqual(body);
  await call(listener, 'POST', { 'accept-encoding': 'gzip' });
  expect(sentAtOnce).toEqual([false, true]);
});
