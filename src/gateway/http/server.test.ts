import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it, onTestFinished, test } from 'vitest';
import { systemClock } from '../../kube/clock.ts';
import { startHttpServer, type HttpServer } from './server.ts';

let server: HttpServer | undefined;
afterEach(async () => {
  await server?.close({ drainMs: 0, graceMs: 0 });
  server = undefined;
});

async function raw(port: number, sent: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.end(sent);
  return await text(socket);
}

describe('what is no request', () => {
  it.each([
    ['nonsense', 'hello\r\n\r\n', '400'],
    ['a request to nobody', 'GET / HTTP/1.1\r\n\r\n', '400'],
    ['headers without an end', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`, '431'],
  ])('is refused in JSON: %s', async (_, sent, status) => {
    server = await startHttpServer((_request, response) => void response.end(), { port: 0, clock: systemClock });
    const answer = await raw(server.port, sent);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code: status });
  });
});

describe('nonsense after a request', () => {
  const sent = 'GET / HTTP/1.1\r\nhost: x\r\n\r\nnonsense\r\n\r\n';

  it('is not answered in place of the request', async () => {
    const listener: RequestListener = () => undefined;
    server = await startHttpServer(listener, { port: 0, clock: systemClock });
    expect(await raw(server.port, sent)).toBe('');
  });

  it('is not answered in the middle of what the request is answered', async () => {
    const listener: RequestListener = (_request, response) => response.writeHead(200).flushHeaders();
    server = await startHttpServer(listener, { port: 0, clock: systemClock });
    expect(await raw(server.port, sent)).not.toContain('400');
  });
});

test('a body that is nonsense is what its request is refused for', async () => {
  server = await startHttpServer((request) => void request.resume(), { port: 0, clock: systemClock });
  const answer = await raw(server.port, 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n');
  expect(answer).toMatch(/^HTTP\/1.1 400 /);
});

test('what a request expects of its server beyond an answer is not looked at', async () => {
  server = await startHttpServer((_request, response) => void response.end('{}'), { port: 0, clock: systemClock });
  const answer = await raw(server.port, 'GET / HTTP/1.1\r\nhost: x\r\nexpect: wonders\r\nconnection: close\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1.1 200 /);
});

describe('a client that does not read', () => {
  /** Asks for this, and reads nothing of it. */
  async function ask(listener: RequestListener): Promise<ServerResponse> {
    const asked = Promise.withResolvers<ServerResponse>();
    const both: RequestListener = (request, response) => {
      asked.resolve(response);
      listener(request, response);
    };
    server = await startHttpServer(both, { port: 0, clock: systemClock });
    const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    return await asked.promise;
  }

  it('is cut off, or its answer would be kept for as long as it likes', async () => {
    const response = await ask((_request, answer) => void answer.end(Buffer.alloc(50_000_000)));
    const { socket } = response;
    expect(socket?.timeout).toBe(30_000);
    const closed = once(response, 'close');
    socket?.setTimeout(50);
    await closed;
    expect(response.writableFinished).toBe(false);
  });

  it('is waited for while its answer is being made, and not any more when that is ready', async () => {
    const response = await ask(() => undefined);
    const { socket } = response;
    for (let count = 0; count < 2; count += 1) {
      const passed = once(socket as Socket, 'timeout');
      socket?.setTimeout(50);
      await passed;
      expect(socket?.destroyed).toBe(false);
      expect(socket?.timeout).toBe(30_000);
    }
    response.write(Buffer.alloc(50_000_000));
    const passed = once(socket as Socket, 'timeout');
    socket?.setTimeout(50);
    await passed;
    // It comes bit by bit.
    expect(socket?.destroyed).toBe(false);
    const closed = once(response, 'close');
    response.end();
    socket?.setTimeout(50);
    await closed;
  });
});

test('a connection on which more requests come than may wait for the one before them is closed', async () => {
  let served = 0;
  server = await startHttpServer(() => void (served += 1), { port: 0, clock: systemClock });
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  const closed = once(socket, 'close');
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(100));
  await closed;
  expect(served).toBe(1);
});

test('of requests that come at once on one connection each is looked at when the one before it has been answered', async () => {
  const first = Promise.withResolvers<ServerResponse>();
  const asked: string[] = [];
  const listener: RequestListener = ({ url = '' }, response) => {
    asked.push(url);
    if (url === '/1') first.resolve(response);
    else response.end(url);
  };
  server = await startHttpServer(listener, { port: 0, clock: systemClock });
  const each = (url: string, last = ''): string => `GET ${url} HTTP/1.1\r\nhost: x\r\n${last}\r\n`;
  const answers = raw(server.port, each('/1') + each('/2') + each('/3', 'connection: close\r\n'));
  const response = await first.promise;
  expect(asked).toEqual(['/1']);
  response.end('/1');
  expect((await answers).match(/^\/\d|(?<=\n)\/\d/gm)).toEqual(['/1', '/2', '/3']);
});

describe('an end', () => {
  it('drops no request: neither one that is being answered, nor one that comes before it is known', async () => {
    const asked = Promise.withResolvers<undefined>();
    const answer = Promise.withResolvers<undefined>();
    const begun = await startHttpServer(
      (request, response) => {
        if (request.url !== '/slow') {
          response.end('quick');
          return;
        }
        asked.resolve(undefined);
        void answer.promise.then(() => response.end('slow'));
      },
      { port: 0, clock: systemClock },
    );
    const origin = `http://127.0.0.1:${begun.port}`;
    const slow = fetch(`${origin}/slow`);
    await asked.promise;
    const closed = begun.close({ drainMs: 200, graceMs: 10_000 });
    const late = await fetch(origin);
    expect(await late.text()).toBe('quick');
    expect(late.headers.get('connection')).toBe('close');
    answer.resolve(undefined);
    const waited = await slow;
    expect(await waited.text()).toBe('slow');
    // It was asked before, and its connection would be kept for longer than anybody waits.
    expect(waited.headers.get('connection')).toBe('close');
    await closed;
    await expect(fetch(origin)).rejects.toThrow();
  });

  it('waits for nobody longer than it may', async () => {
    const asked = Promise.withResolvers<undefined>();
    const begun = await startHttpServer(() => asked.resolve(undefined), { port: 0, clock: systemClock });
    const socket = connect(begun.port, '127.0.0.1');
    const closed = once(socket, 'close');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await asked.promise;
    await begun.close({ drainMs: 0, graceMs: 50 });
    await closed;
  });
});
