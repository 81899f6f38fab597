import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { AgentClient } from './agent-client.ts';

let server: Server | TcpServer | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  if (server === undefined) return;
  if ('closeAllConnections' in server) server.closeAllConnections();
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
  await once(server, 'close');
  server = undefined;
});

async function listen(made: Server | TcpServer): Promise<AgentClient> {
  server = made;
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  return new AgentClient({ host: '127.0.0.1', port: (made.address() as AddressInfo).port });
}

const agent = (answer: (message: IncomingMessage, response: ServerResponse) => void): Promise<AgentClient> =>
  listen(createServer(answer));
const rawAgent = (answer: (socket: Socket) => void): Promise<AgentClient> =>
  listen(
    createTcpServer((socket) => {
      sockets.push(socket);
      answer(socket.on('error', () => undefined));
    }),
  );
const nobody = new AgentClient({ host: '127.0.0.1', port: 1 });

describe('readiness', () => {
  it.each([
    [200, 'ready'],
    [204, 'ready'],
    [302, 'ready'],
    [400, 'ready'],
    [401, 'ready'],
    [403, 'ready'],
    [404, 'ready'],
    [405, 'ready'],
    [429, 'ready'],
    [501, 'ready'],
    [500, 'notReady'],
    [502, 'notReady'],
    [503, 'notReady'],
    [504, 'notReady'],
    [599, 'notReady'],
  ])('%i is %s', async (status, expected) => {
    const client = await agent((_message, response) => response.writeHead(status).end('x'));
    expect(await client.ready()).toBe(expected);
  });

  it('is missing while nobody listens, and when the answer is no HTTP', async () => {
    expect(await nobody.ready()).toBe('unreachable');
    const client = await rawAgent((socket) => socket.once('data', () => socket.end('hello\n')));
    expect(await client.ready()).toBe('unreachable');
  });
});

describe('POST /bot', () => {
  it('takes the body byte for byte, and is over when the answer is', async () => {
    let seen: unknown;
    const client = await agent((message, response) => {
      void text(message).then((body) => {
        seen = [message.method, message.url, message.headers['x-daily-session-id'], body];
        response.writeHead(200).write('{');
        setImmediate(() => response.end('}'));
      });
    });
    const result = await client.bot({ 'x-daily-session-id': 'id' }, Buffer.from('{"ü": "\\u0000 世界"}'), () => true);
    expect(result).toEqual({ kind: 'answered', status: 200 });
    expect(seen).toEqual(['POST', '/bot', 'id', '{"ü": "\\u0000 世界"}']);
  });

  it('was not sent when nobody listens', async () => {
    let asked = 0;
    expect(await nobody.bot({}, Buffer.from('{}'), () => ++asked > 0)).toEqual({ kind: 'notSent' });
    expect(asked).toBe(0);
  });

  it('was not sent when it may not go after all', async () => {
    let received = 0;
    const client = await rawAgent((socket) => socket.on('data', () => received++));
    expect(await client.bot({}, Buffer.from('{}'), () => false)).toEqual({ kind: 'notSent' });
    expect(received).toBe(0);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['before an answer', (socket) => socket.once('data', () => socket.destroy())],
    [
      'in the middle of the answer',
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{')),
    ],
    ['with a reset', (socket) => socket.once('data', () => socket.resetAndDestroy())],
    ['with nonsense', (socket) => socket.once('data', () => socket.end('nonsense\r\n\r\n'))],
  ])('is broken when the connection ends %s', async (_name, answer) => {
    const client = await rawAgent(answer);
    expect((await client.bot({}, Buffer.from('{}'), () => true)).kind).toBe('broken');
  });
});
