import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSupervisorServer } from './server.ts';
import type { BoundSession } from './session.ts';
import { FOR_WEBSOCKET, makeToken, makeVerifier, signers, type TokenOptions } from './testing/tokens.ts';
import { bindRequest, bodyDigest, type BindReply, type BindRequest } from './wire.ts';

const request: BindRequest = {
  uid: 'session-uid',
  sessionId: 'id',
  body: Buffer.from('{}').toString('base64'),
  headers: {},
  maxSessionSeconds: 60,
  startTimeoutSeconds: 10,
};

let server: Server;
let url: string;
let bound: BindRequest[];
let ended: string[];
let connected: number;
let reply: BindReply;

/** A server of a pod that is bound to nothing. */
async function open(): Promise<void> {
  bound = [];
  ended = [];
  reply = { state: 'started', startedAt: 1 };
  connected = 0;
  const verifier = await makeVerifier();
  let session: BoundSession | undefined;
  server = createSupervisorServer({
    verifier,
    session: () => session,
    bind: (wanted) => {
      bound.push(wanted);
      session = {
        uid: wanted.uid,
        get reply() {
          return reply;
        },
        settled: () => Promise.resolve(),
        end: (outcome: string) => ended.push(outcome),
        connect: () => {
          connected++;
          return undefined;
        },
      } as unknown as BoundSession;
      return session;
    },
    agentReady: () => Promise.resolve(true),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

beforeEach(open);
afterEach(close);

async function put(body: string, options: TokenOptions = {}, authorization?: string): Promise<Response> {
  const headers = { authorization: authorization ?? `Bearer ${await makeToken(body, options)}` };
  return await fetch(`${url}/session`, { method: 'PUT', headers, body });
}

describe('PUT /session', () => {
  it('binds the pod, and again to the same session is the same', async () => {
    const body = JSON.stringify(request);
    for (const _ of [1, 2]) {
      const answer = await put(body);
      expect([answer.status, await answer.json()]).toEqual([200, { state: 'started', startedAt: 1 }]);
    }
    expect(bound).toEqual([request]);
  });

  it('says 202 while the agent is not ready', async () => {
    reply = { state: 'waiting' };
    expect((await put(JSON.stringify(request))).status).toBe(202);
  });

  it('refuses another session', async () => {
    await put(JSON.stringify(request));
    const other = JSON.stringify({ ...request, uid: 'other-uid' });
    const answer = await put(other, { sub: 'other-uid' });
    expect([answer.status, await answer.json()]).toMatchObject([409, { code: 'AnotherSession' }]);
    expect(bound).toHaveLength(1);
  });

  it('binds once when two come at the same moment', async () => {
    const bodies = ['session-uid', 'other-uid'].map((uid) => JSON.stringify({ ...request, uid }));
    const [first = '', second = ''] = bodies;
    const answers = await Promise.all([put(first), put(second, { sub: 'other-uid' })]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(bound).toHaveLength(1);
  });

  it.each<[string, TokenOptions]>([
    ['for another pod', { aud: 'other-pod' }],
    ['for another session', { sub: 'other-uid' }],
    ['for another operation', { op: 'stop' }],
    ['for another body', { body: bodyDigest('something else') }],
    ['that has expired', { expiresIn: -120 }],
    ['of the gateway', { key: signers.gateway.privateKey, kid: 'g1', iss: 'gateway' }],
    ['of the gateway that says it is the controller', { key: signers.gateway.privateKey, kid: 'g1' }],
    ['signed by a stranger', { key: signers.stranger.privateKey }],
    ['with a key that is not known', { kid: 'c2' }],
  ])('refuses a token %s, and nothing happens', async (_name, options) => {
    const answer = await put(JSON.stringify(request), options);
    expect([400, 401]).toContain(answer.status);
    expect(bound).toEqual([]);
  });

  it.each([
    ['none', ''],
    ['no bearer', 'Basic YTpi'],
    ['not signed', `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
    ['not a token', 'Bearer a.b.c'],
  ])('refuses authorization that is %s', async (_name, authorization) => {
    expect((await put(JSON.stringify(request), {}, authorization)).status).toBe(401);
    expect(bound).toEqual([]);
  });

  it('refuses what is signed and yet no session', async () => {
    for (const body of [
      '',
      'null',
      '{}',
      JSON.stringify({ ...request, more: 1 }),
      JSON.stringify({ ...request, maxSessionSeconds: -1 }),
    ])
      expect((await put(body)).status).toBe(400);
    expect(bound).toEqual([]);
  });

  it('takes a body of 1 MB, and refuses 9 MB without holding it', async () => {
    const big = JSON.stringify({ ...request, body: Buffer.from('ü'.repeat(500_000)).toString('base64') });
    expect((await put(big)).status).toBe(200);
    expect(bound[0]?.body).toBe(Buffer.from('ü'.repeat(500_000)).toString('base64'));
    const huge = 'x'.repeat(9 * 1024 * 1024);
    const status = await put(huge, { body: 'any' }).then(
      (answer) => answer.status,
      () => 'closed',
    );
    expect([413, 'closed']).toContain(status);
  });
});

describe('DELETE /session', () => {
  const stop = async (options: TokenOptions = {}): Promise<number> => {
    const headers = { authorization: `Bearer ${await makeToken('', { op: 'stop', ...options })}` };
    return (await fetch(`${url}/session`, { method: 'DELETE', headers })).status;
  };

  it('ends the session that the pod serves, and no other', async () => {
    await put(JSON.stringify(request));
    expect(await stop({ sub: 'other-uid' })).toBe(409);
    expect(await stop({ op: 'bind' })).toBe(401);
    expect(ended).toEqual([]);
    expect(await stop()).toBe(200);
    await expect.poll(() => ended).toEqual(['Stopped']);
  });

  it('that overtakes the request which binds the pod is not forgotten: the session never begins', async () => {
    expect(await stop()).toBe(200);
    const answer = await put(JSON.stringify(request));
    expect([answer.status, await answer.json()]).toEqual([200, { state: 'over' }]);
    expect(bound).toEqual([]);
    const other = JSON.stringify({ ...request, uid: 'other-uid' });
    expect((await put(other, { sub: 'other-uid' })).status).toBe(200);
    expect(bound).toMatchObject([{ uid: 'other-uid' }]);
  });
});

it('answers 404 to anything else, and its health', async () => {
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  for (const path of ['/', '/bot', '/session/', '//session', '/session/../bot'])
    expect((await fetch(`${url}${path}`, { method: 'POST', body: '{}' })).status).toBe(404);
});

it('survives whatever is sent to it, binds nothing, and lets nobody to the agent', async () => {
  await put(JSON.stringify(request));
  bound = [];
  const others = await Promise.all([
    makeToken(''),
    makeToken('', { ...FOR_WEBSOCKET, sub: 'other-uid' }),
    makeToken('', { ...FOR_WEBSOCKET, aud: 'other-pod' }),
    makeToken('', { ...FOR_WEBSOCKET, op: 'proxy' }),
    makeToken('', { ...FOR_WEBSOCKET, expiresIn: -120 }),
    makeToken('', { ...FOR_WEBSOCKET, key: signers.stranger.privateKey }),
  ]);
  const upgrade = fc
    .record({
      method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PRI'),
      path: fc.constantFrom('/ws', '/ws?body=e30%3D', '/session', '//ws', '/', '*'),
      protocol: fc.constantFrom('websocket', 'WebSocket', 'h2c', ''),
      authorization: fc.oneof(fc.constantFrom(...others.map((token) => `Bearer ${token}`), ''), fc.base64String()),
      key: fc.oneof(fc.base64String(), fc.string({ unit: 'binary', maxLength: 20 })),
      more: fc.oneof(
        fc.constant(''),
        fc.nat(200_000).map((length) => 'x'.repeat(length)),
      ),
    })
    .map(
      ({ method, path, protocol, authorization, key, more }) =>
        `${method} ${path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n` +
        `authorization: ${authorization}\r\nsec-websocket-key: ${key}\r\n\r\n${more}`,
    );
  const line = fc.oneof(
    upgrade,
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom(
      'PUT /session HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n',
      'PUT /session HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n',
      'PUT /session HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a.b.c\r\ncontent-length: 99999999999\r\n\r\n{',
      'GET /readyz HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
      'GET http://[::bad/ HTTP/1.1\r\n\r\n',
      'CONNECT a:1 HTTP/1.1\r\n\r\n',
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 4 }), async (lines) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      for (const text of lines) socket.write(text, 'latin1');
      socket.end();
      socket.resume();
      // Whoever says more than it is asked for may see its connection reset.
      await new Promise((resolve) => socket.once('close', resolve));
    }),
    { numRuns: 200 },
  );
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect([bound, connected]).toEqual([[], 0]);
  // The same with the right token is let in: what was refused above was refused for what it said.
  const right = await makeToken('', FOR_WEBSOCKET);
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
  socket.write(
    `GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nauthorization: Bearer ${right}\r\n\r\n`,
  );
  await expect.poll(() => connected).toBe(1);
  socket.destroy();
});

function uidIn(body: string): string {
  try {
    const { uid } = JSON.parse(body) as { uid?: unknown };
    return typeof uid === 'string' ? uid : 'session-uid';
  } catch {
    return 'session-uid';
  }
}

describe('whatever the controller itself signs', () => {
  const uid = fc.constantFrom('session-uid', 'other-uid');
  const valid = uid.map((of) => ({ ...request, uid: of }));
  /** A request as it should be, but for some of its fields, or with more of them. */
  const mutated = fc
    .tuple(
      valid,
      fc.dictionary(
        fc.oneof(fc.constantFrom(...Object.keys(request), 'transport'), fc.string()),
        fc.oneof(
          fc.jsonValue(),
          fc.constantFrom('websocket', '', 0, -1, 1e9, 'AA==', 'A', { 'x-daily-room-url': 'a\r\nb' }),
        ),
        { minKeys: 1, maxKeys: 3 },
      ),
      fc.subarray(Object.keys(request), { maxLength: 2 }),
    )
    .map(([whole, changes, gone]): unknown =>
      Object.fromEntries(Object.entries({ ...whole, ...changes }).filter(([name]) => !gone.includes(name))),
    );
  const text = fc.oneof(
    fc.oneof(valid, mutated, fc.jsonValue()).map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' }),
    valid.chain((whole) => fc.nat(JSON.stringify(whole).length).map((end) => JSON.stringify(whole).slice(0, end))),
  );
  const step = fc.record({
    method: fc.constantFrom('PUT', 'PUT', 'DELETE'),
    body: text,
    sub: fc.option(fc.oneof(uid, fc.string()), { nil: undefined }),
  });
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  /** Signed for this session, or for the one that the body names. */
  const send = async ({ method, body, sub = uidIn(body) }: Step): Promise<number> => {
    const signed = await makeToken(body, { sub, op: method === 'PUT' ? 'bind' : 'stop' });
    const answer = await fetch(`${url}/session`, { method, headers: { authorization: `Bearer ${signed}` }, body });
    await answer.arrayBuffer();
    return answer.status;
  };

  it.each([
    ['before', false],
    ['after', true],
  ])('it binds once at most, and goes on serving: %s a session was bound', async (_when, isBound) => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        await close();
        await open();
        if (isBound) await put(JSON.stringify(request));
        const statuses = await Promise.all(steps.map(send));
        expect(statuses.filter((status) => status >= 500)).toEqual([]);
        expect(bound.length).toBeLessThanOrEqual(1);
        for (const taken of bound) expect(bindRequest.parse(taken)).toEqual(taken);
        if (isBound) expect(bound).toEqual([request]);
        accepted += bound.length;
        expect((await fetch(`${url}/livez`)).status).toBe(200);
      }),
      { numRuns: 150 },
    );
    // Some of it was good.
    expect(accepted).toBeGreaterThan(0);
  });
});
