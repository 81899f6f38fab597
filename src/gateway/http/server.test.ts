import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it, test } from 'vitest';
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
