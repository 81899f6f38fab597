import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RestClient, type Connections } from './rest-client.ts';

let server: Server;
let connections: number;
let reply: string;

beforeEach(async () => {
  connections = 0;
  reply = '{"start":"warm"}';
  server = createServer((request, response) => {
    if (reply === '') request.socket.destroy();
    else request.resume().on('end', () => response.end(reply));
  });
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

function clientOf(connections: Connections): RestClient {
  const { port } = server.address() as AddressInfo;
  return new RestClient({ origin: `http://127.0.0.1:${port}`, key: 'pk_1', connections });
}

test.each([
  { kind: 'new', wanted: 3 },
  { kind: 'kept', wanted: 1 },
] as const)('with $kind connections three requests one by one make $wanted', async ({ kind, wanted }) => {
  const client = clientOf(kind);
  for (let sent = 0; sent < 3; sent++) {
    expect(await client.start('echo', '{}')).toMatchObject({ status: 200, body: { start: 'warm' } });
  }
  client.close();
  expect(connections).toBe(wanted);
});

test('what is no answer is told as one', async () => {
  const client = clientOf('new');
  reply = 'not JSON';
  expect(await client.start('echo', '{}')).toMatchObject({ status: 'SyntaxError', body: {} });
  reply = '';
  expect(await client.start('echo', '{}')).toMatchObject({ status: 'ECONNRESET', body: {} });
});
