import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { SUPERVISOR_PORT } from '../../supervisor/wire.ts';
import { callSupervisor, type SupervisorAnswer, type SupervisorRequest } from './supervisor-client.ts';

/** The port is fixed, so this file has addresses of its own. */
const HOST = '127.0.7.1';
const NOBODY = '127.0.7.2';

let server: Server | undefined;
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  if (server === undefined) return;
  server.close();
  await once(server, 'close');
  server = undefined;
});

async function listen(made: Server): Promise<void> {
  server = made;
  made.on('connection', (socket: Socket) => sockets.add(socket));
  made.listen(SUPERVISOR_PORT, HOST);
  await once(made, 'listening');
}

/** A supervisor that does this with every request, once it has all of it. */
async function supervisor(handle: (body: string, ...args: Parameters<RequestListener>) => void): Promise<void> {
  const serve: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => handle(Buffer.concat(chunks).toString(), request, response));
  };
  await listen(createServer(serve));
}

/** Something that is no HTTP server. */
const raw = (handle: (socket: Socket) => void): Promise<void> => listen(createTcpServer(handle));

const saying = (body?: string): SupervisorRequest['say'] => {
  const what = { token: 'token', ...(body !== undefined && { body }) };
  return () => Promise.resolve(what);
};

async function call(more: Partial<SupervisorRequest> = {}): Promise<{ answer: SupervisorAnswer; sends: number }> {
  let sends = 0;
  const answer = await callSupervisor({
    method: 'PUT',
    host: HOST,
    say: saying('{"uid":"s"}'),
    signal: new AbortController().signal,
    onSend: () => (sends += 1),
    ...more,
  });
  return { answer, sends };
}

describe('a request to a supervisor', () => {
  it('is answered, and has said who it is and what it wants', async () => {
    const seen: unknown[] = [];
    await supervisor((body, { method, url, headers }, response) => {
      seen.push(method, url, headers.authorization, headers['content-length'], body);
      response.end('{"state":"started","startedAt":5}');
    });
    const { answer, sends } = await call({ say: saying('{"é":1}') });
    expect(answer).toEqual({ kind: 'answered', reply: { state: 'started', startedAt: 5 } });
    expect(seen).toEqual(['PUT', '/session', 'Bearer token', '8', '{"é":1}']);
    expect(sends).toBe(1);
  });

  it('may have no body', async () => {
    const seen: unknown[] = [];
    await supervisor((body, { method, headers }, response) => {
      seen.push(method, headers['content-length'], body);
      response.end('{"state":"over"}');
    });
    const { answer } = await call({ method: 'DELETE', say: saying() });
    expect(answer).toEqual({ kind: 'answered', reply: { state: 'over' } });
    expect(seen).toEqual(['DELETE', '0', '']);
  });

  it('is sent whole, however long', async () => {
    let length = 0;
    await supervisor((body, _request, response) => {
      length = body.length;
      response.end('{"state":"started"}');
    });
    expect((await call({ say: saying('x'.repeat(1_500_000)) })).answer.kind).toBe('answered');
    expect(length).toBe(1_500_000);
  });

  it('is made on a connection of its own', async () => {
    await supervisor((_body, _request, response) => response.end('{"state":"waiting"}'));
    await call();
    await call();
    expect(sockets.size).toBe(2);
  });

  it('is answered also when the agent is not ready yet', async () => {
    await supervisor((_body, _request, response) => response.writeHead(202).end('{"state":"waiting"}'));
    expect((await call()).answer).toEqual({ kind: 'answered', reply: { state: 'waiting' } });
  });
});

describe('nothing has left', () => {
  it('where nobody listens', async () => {
    const { answer, sends } = await call({ host: NOBODY });
    expect(answer).toEqual({ kind: 'unreachable', message: expect.stringContaining('ECONNREFUSED') as string });
    expect(sends).toBe(0);
  });

  it('where there is no such host', async () => {
    expect(await call({ host: 'nowhere.invalid' })).toMatchObject({ answer: { kind: 'unreachable' }, sends: 0 });
  });

  it('where it was given up before', async () => {
    await supervisor((_body, _request, response) => response.end('{"state":"started"}'));
    expect(await call({ signal: AbortSignal.abort() })).toMatchObject({ answer: { kind: 'unreachable' }, sends: 0 });
  });
});

describe('what is to be said', () => {
  /** A supervisor that counts what it gets. */
  async function listener(): Promise<{ bytes: number }> {
    const got = { bytes: 0 };
    await raw((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (got.bytes += chunk.length));
    });
    return got;
  }
  const connected = (): Promise<unknown> => once(server as Server, 'connection');

  it('is not asked for where there is no connection', async () => {
    let asked = 0;
    const say = () => {
      asked += 1;
      return saying()();
    };
    expect(await call({ host: NOBODY, say })).toMatchObject({ answer: { kind: 'unreachable' } });
    expect(asked).toBe(0);
  });

  it('may be nothing: then nothing has left', async () => {
    const got = await listener();
    const { answer, sends } = await call({ say: () => Promise.reject(new Error('no body')) });
    expect(answer).toEqual({ kind: 'withheld', message: 'no body' });
    expect([sends, got.bytes]).toEqual([0, 0]);
  });

  it.each<[string, (giveUp: AbortController) => void]>([
    ['given up', (giveUp) => giveUp.abort()],
    ['closed from there', () => [...sockets].forEach((socket) => socket.end())],
    ['reset from there', () => [...sockets].forEach((socket) => socket.resetAndDestroy())],
    [
      'answered by somebody who has heard nothing',
      () => [...sockets].forEach((socket) => socket.write('HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n')),
    ],
  ])('is not said when the connection is %s before it is known', async (_name, happen) => {
    const got = await listener();
    const giveUp = new AbortController();
    const composed = Promise.withResolvers<{ token: string }>();
    const say = () => composed.promise;
    let sends = 0;
    const called = call({ say, signal: giveUp.signal, onSend: () => (sends += 1) });
    await connected();
    happen(giveUp);
    expect(await called).toMatchObject({ answer: { kind: 'unreachable' } });
    composed.resolve({ token: 'token' });
    await new Promise(setImmediate);
    expect([sends, got.bytes]).toEqual([0, 0]);
  });
});

describe('it may have been carried out', () => {
  it.each<[string, (socket: Socket) => void]>([
    ['the connection is reset', (socket) => socket.once('data', () => socket.resetAndDestroy())],
    ['the connection is closed', (socket) => socket.once('data', () => socket.end())],
    ['the connection is closed before anything is read', (socket) => socket.destroy()],
    ['the answer is no HTTP', (socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n'))],
    [
      'the answer breaks off in its head',
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-le')),
    ],
    [
      'the answer breaks off in its body',
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{"state":')),
    ],
    [
      'the connection is reset in the middle of the answer',
      (socket) =>
        socket.once('data', () =>
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{"state":', () => socket.resetAndDestroy()),
        ),
    ],
  ])('where %s', async (_name, handle) => {
    await raw((socket) => {
      socket.on('error', () => undefined);
      handle(socket);
    });
    expect(await call()).toMatchObject({ answer: { kind: 'unanswered' }, sends: 1 });
  });

  it.each<[string, number, string]>([
    ['nothing', 200, ''],
    ['no JSON', 200, '<html>'],
    ['another JSON', 200, '{"ok":true}'],
    ['a state that nobody knows', 200, '{"state":"bored"}'],
    ['a time that is none', 200, '{"state":"started","startedAt":"now"}'],
    ['an error of its own', 500, '{"error":"internal error"}'],
    ['an answer under another status', 201, '{"state":"started"}'],
    ['a redirection', 302, '{"state":"started"}'],
    ['that something between is broken', 502, 'Bad Gateway'],
  ])('where the answer is %s', async (_name, status, text) => {
    await supervisor((_body, _request, response) => response.writeHead(status, { location: '/' }).end(text));
    expect(await call()).toMatchObject({ answer: { kind: 'unanswered' }, sends: 1 });
  });

  it('where the answer is too long: no more of it is taken', async () => {
    let written = 0;
    await supervisor((_body, _request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(16_384))) written += 16_384;
      };
      response.on('drain', more);
      more();
    });
    expect(await call()).toMatchObject({ answer: { kind: 'unanswered' }, sends: 1 });
    expect(written).toBeLessThan(50_000_000);
  });

  it('where it is given up while it waits for the answer', async () => {
    const giveUp = new AbortController();
    await supervisor(() => giveUp.abort());
    expect(await call({ signal: giveUp.signal })).toMatchObject({ answer: { kind: 'unanswered' }, sends: 1 });
  });

  it('where no answer comes in time', { timeout: 30_000 }, async () => {
    await supervisor(() => undefined);
    const began = performance.now();
    expect(await call()).toEqual({ answer: { kind: 'unanswered', message: 'no answer in time' }, sends: 1 });
    // The supervisor takes up to eight seconds to say that it still waits.
    expect(performance.now() - began).toBeGreaterThan(9_000);
  });
});

describe('a refusal', () => {
  it.each<[number, string, string]>([
    [401, '{"error":"no valid token for this pod","code":"Unauthorized"}', 'no valid token for this pod'],
    [409, '{"error":"this pod serves another session"}', 'this pod serves another session'],
    [404, 'not found', 'status 404'],
    [400, '{"error":5}', 'status 400'],
    [413, JSON.stringify({ error: 'x'.repeat(5000) }), 'status 413'],
  ])('says why, or at least its status (%i %s)', async (status, text, message) => {
    await supervisor((_body, _request, response) => response.writeHead(status).end(text));
    expect((await call()).answer).toEqual({ kind: 'refused', status, message });
  });

  it('is one also where something answers before it has the request', async () => {
    await raw((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'));
    });
    const { answer, sends } = await call({ say: saying('x'.repeat(100)) });
    expect(answer).toMatchObject({ kind: 'refused', status: 401 });
    expect(sends).toBe(1);
  });
});
