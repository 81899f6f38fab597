import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { AgentClient, type Readiness } from './agent-client.ts';
import { createSupervisorServer } from './server.ts';
import { BoundSession } from './session.ts';
import { FOR_WEBSOCKET, makeToken, makeVerifier, SESSION, signers, type TokenOptions } from './testing/tokens.ts';
import { ask, Peer, WebSocketAgent, type Asking } from './testing/ws-peers.ts';
import { FLUSH_MS, HANG_UP_MS } from './websocket.ts';
import type { BindRequest, TerminationMessage } from './wire.ts';

/** The supervisor between a caller and an agent, both of them real connections; only its clock is a test's own. */
const request: BindRequest = {
  uid: SESSION,
  sessionId: 'the-id',
  body: Buffer.from('{"grüße":"世界?&+"}').toString('base64'),
  headers: {},
  transport: 'websocket',
  maxSessionSeconds: 60,
  startTimeoutSeconds: 10,
};

/** For what must happen, and on a busy machine takes its time. */
const PATIENT = { timeout: 20_000 };

const CLOSE = Buffer.from([0x88, 0x02, 0x03, 0xe8]);
const MASKED_CLOSE = Buffer.from([0x88, 0x82, 1, 2, 3, 4, 2, 0xea]);
/** The beginning of a binary frame with so much content. */
function longHeader(length: number): Buffer {
  const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}
const text = (words: string): Buffer => Buffer.concat([Buffer.from([0x81, words.length]), Buffer.from(words)]);

let clock: FakeClock;
let agent: WebSocketAgent;
let readiness: Readiness;
let server: Server;
let port: number;
let session: BoundSession | undefined;
let records: TerminationMessage[];
/** The supervisor's ends of its connections. */
let peers: Socket[];
let agentPort: number;

beforeEach(async () => {
  clock = new FakeClock(1_000_000);
  agent = new WebSocketAgent();
  readiness = 'ready';
  records = [];
  peers = [];
  session = undefined;
  server = createSupervisorServer({
    verifier: await makeVerifier(),
    session: () => session,
    bind: () => bind(),
    agentReady: () => Promise.resolve(true),
  });
  server.on('connection', (socket: Socket) => peers.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
  agentPort = await agent.listen();
});

afterEach(async () => {
  session?.end('Stopped');
  await agent.close();
  for (const socket of peers) socket.destroy();
  server.close();
  await once(server, 'close');
});

function bind(more: Partial<BindRequest> = {}): BoundSession {
  const client = new AgentClient({ host: '127.0.0.1', port: agentPort });
  session = new BoundSession({
    request: { ...request, ...more },
    agent: {
      ready: () => Promise.resolve(readiness),
      bot: () => Promise.reject(new Error('no test asks for it')),
      webSocket: (caller, options) => client.webSocket(caller, options),
    },
    clock,
    onOver: (record) => records.push(record),
  });
  void session.run();
  return session;
}

const call = async (options: TokenOptions = {}): Promise<Asking> =>
  ask(port, { authorization: `Bearer ${await makeToken('', { ...FOR_WEBSOCKET, ...options })}` });

/** A caller whose WebSocket is open, and the agent's end of it. */
async function opened(): Promise<{ caller: Peer; callee: Peer }> {
  bind();
  const answer = await (await call()).answer;
  if (!('peer' in answer)) throw new Error(`refused with ${answer.status} ${answer.body}`);
  return { caller: answer.peer, callee: await agent.opened() };
}

const refusal = async (asking: Asking): Promise<unknown> => {
  const answer = await asking.answer;
  return 'status' in answer ? [answer.status, (JSON.parse(answer.body) as { code: string }).code] : 'opened';
};

const over = async (): Promise<TerminationMessage | undefined> => {
  await expect.poll(() => records.length, { interval: 2, ...PATIENT }).toBe(1);
  return records[0];
};

describe('a WebSocket', () => {
  it('is asked of the agent with the session’s id, limit and body, and with the caller’s own handshake', async () => {
    bind();
    const token = await makeToken('', FOR_WEBSOCKET);
    const asking = ask(
      port,
      {
        authorization: `Bearer ${token}`,
        'sec-websocket-protocol': 'a, b',
        'sec-websocket-extensions': 'permessage-deflate',
        cookie: 'no business of the agent',
      },
      '/ws?body=of-the-caller',
    );
    expect(await asking.answer).toMatchObject({
      headers: { 'sec-websocket-accept': 'for dGhlIHNhbXBsZSBub25jZQ==', 'x-name': 'grüße' },
    });
    const [asked] = agent.asked;
    const url = new URL(asked?.url ?? '', 'http://agent');
    expect([asked?.method, url.pathname, url.searchParams.getAll('body')]).toEqual(['GET', '/ws', [request.body]]);
    expect(asked?.headers).toMatchObject({
      'x-daily-session-id': 'the-id',
      'x-pcc-max-session-seconds': '60',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'a, b',
      'sec-websocket-extensions': 'permessage-deflate',
    });
    expect(asked?.headers).not.toHaveProperty('cookie');
    expect(asked?.headers).not.toHaveProperty('authorization');
    expect(session?.reply).toEqual({ state: 'started', startedAt: 1_000_000 });
  });

  it('carries what either side says, byte for byte', async () => {
    const { caller, callee } = await opened();
    const [up, down] = [randomBytes(3_000_000), randomBytes(5_000_000)];
    caller.socket.write(up);
    callee.socket.write(down);
    expect((await callee.hears(up.length)).equals(up)).toBe(true);
    expect((await caller.hears(down.length)).equals(down)).toBe(true);
    caller.socket.write(text('short'));
    expect((await callee.hears(up.length + 7)).subarray(up.length)).toEqual(text('short'));
  });

  it('carries what the agent says together with its answer', async () => {
    agent.onUpgrade = (message, socket, head) => {
      socket.cork();
      agent.open(message, socket, head);
      socket.write(text('welcome'));
      socket.uncork();
    };
    const { caller } = await opened();
    expect(await caller.hears(9)).toEqual(text('welcome'));
  });

  it('goes at the pace of whoever is slower, and holds no more than a little', async () => {
    const { caller, callee } = await opened();
    caller.socket.pause();
    const chunk = Buffer.alloc(1024 * 1024, 1);
    let left = 64;
    callee.socket.write(longHeader(left * chunk.length));
    const write = (): void => {
      while (left > 0) {
        left -= 1;
        if (!callee.socket.write(chunk)) return;
      }
    };
    callee.socket.on('drain', write);
    write();
    const [held] = peers;
    // What the sockets of both sides hold in the kernel comes on top of it.
    await expect.poll(() => held?.writableNeedDrain, PATIENT).toBe(true);
    expect(held?.writableLength).toBeLessThan(1024 * 1024);
    expect(left).toBeGreaterThan(0);
    caller.socket.resume();
    expect((await caller.hears(10 + 64 * chunk.length)).length).toBe(10 + 64 * chunk.length);
    expect(held?.writableLength).toBeLessThan(1024 * 1024);
  });
});

describe('the session ends', () => {
  it('Completed, when the agent closes in good order, and the caller gets its last word', async () => {
    const { caller, callee } = await opened();
    const last = Buffer.concat([text('goodbye'), CLOSE]);
    await clock.advanceAsync(5_000);
    callee.socket.end(last);
    expect(await over()).toEqual({
      bullpen: 1,
      session: SESSION,
      delivered: true,
      outcome: 'Completed',
      startedAt: 1_000_000,
      endedAt: 1_005_000,
      ranMs: 5_000,
    });
    expect(await caller.hears(last.length)).toEqual(last);
    await expect.poll(() => caller.hungUp, PATIENT).toBe(true);
  });

  it('only when the last word of the agent has left', async () => {
    const { caller, callee } = await opened();
    caller.socket.pause();
    const content = Buffer.alloc(32 * 1024 * 1024);
    const last = Buffer.concat([longHeader(content.length), content, CLOSE]);
    callee.socket.end(last);
    await expect.poll(() => peers[0]?.writableNeedDrain, PATIENT).toBe(true);
    expect(records).toEqual([]);
    caller.socket.resume();
    expect((await caller.hears(last.length)).length).toBe(last.length);
    expect(await over()).toMatchObject({ outcome: 'Completed' });
  });

  it('although the caller does not take the last word of the agent', async () => {
    const { caller, callee } = await opened();
    caller.socket.pause();
    const [held] = peers;
    // Until the caller's end takes no more; each piece when the one before has been passed on.
    const piece = Buffer.alloc(32 * 1024);
    for (let sent = held?.bytesWritten ?? 0; held?.writableLength === 0;) {
      callee.socket.write(piece);
      sent += piece.length;
      await expect.poll(() => held.bytesWritten, { interval: 1, ...PATIENT }).toBe(sent);
    }
    callee.socket.end();
    await clock.untilTimer(FLUSH_MS);
    expect(records).toEqual([]);
    await clock.advanceAsync(FLUSH_MS);
    expect(await over()).toMatchObject({ outcome: 'ConnectionBroken' });
  });

  it('Completed, when the caller closes and the agent only hangs up', async () => {
    const { caller, callee } = await opened();
    caller.socket.write(MASKED_CLOSE);
    await callee.hears(MASKED_CLOSE.length);
    callee.socket.destroy();
    expect(await over()).toMatchObject({ outcome: 'Completed' });
  });

  it.each<[string, (socket: Socket) => void]>([
    ['closes its connection', (socket) => socket.end()],
    ['is reset', (socket) => socket.resetAndDestroy()],
  ])('Completed, when the caller %s, and the agent hears of it', async (_name, go) => {
    const { caller, callee } = await opened();
    callee.socket.on('end', () => callee.socket.end(text('too late')));
    go(caller.socket);
    // Without the clock: because the agent has gone, and not because it was given up.
    expect(await over()).toMatchObject({ outcome: 'Completed', delivered: true });
    expect(callee.hungUp).toBe(true);
  });

  it('Completed, when a caller hangs up who has not kept up with the agent', async () => {
    const { caller, callee } = await opened();
    caller.socket.pause();
    callee.socket.on('end', () => callee.socket.end());
    callee.socket.write(Buffer.concat([longHeader(32 * 1024 * 1024), Buffer.alloc(32 * 1024 * 1024)]));
    await expect.poll(() => peers[0]?.writableNeedDrain, PATIENT).toBe(true);
    caller.socket.resetAndDestroy();
    expect(await over()).toMatchObject({ outcome: 'Completed' });
    expect(callee.hungUp).toBe(true);
  });

  it('Completed, when the caller has gone and the agent does not notice for a while', async () => {
    const { caller, callee } = await opened();
    caller.socket.destroy();
    await expect.poll(() => callee.hungUp, PATIENT).toBe(true);
    await clock.untilTimer(HANG_UP_MS);
    expect(records).toEqual([]);
    await clock.advanceAsync(HANG_UP_MS);
    expect(await over()).toMatchObject({ outcome: 'Completed' });
  });

  it.each<[string, (socket: Socket) => void]>([
    ['closes its connection', (socket) => socket.end(text('CLOSE'))],
    ['is reset', (socket) => socket.resetAndDestroy()],
  ])('ConnectionBroken, when the agent %s without a closing frame', async (_name, crash) => {
    const { caller, callee } = await opened();
    crash(callee.socket);
    expect(await over()).toMatchObject({
      outcome: 'ConnectionBroken',
      message: 'no closing frame',
    });
    await expect.poll(() => caller.hungUp, PATIENT).toBe(true);
  });

  it.each([
    [403, 403],
    [500, 500],
    [200, 502],
    [302, 502],
  ])('AgentError, when the agent answers %i, and the caller gets %i', async (status, told) => {
    agent.onUpgrade = (_message, socket) => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`);
    bind();
    expect(await refusal(await call())).toEqual([told, 'AgentRefused']);
    expect(await over()).toMatchObject({
      outcome: 'AgentError',
      delivered: true,
      httpStatus: status,
      message: `the agent answered GET /ws with status ${status}`,
    });
  });

  it.each<[string, (socket: Socket) => void]>([
    ['nothing', (socket) => socket.destroy()],
    ['nonsense', (socket) => socket.end('nonsense\r\n\r\n')],
  ])('ConnectionBroken, when the agent answers %s, and the caller gets 502', async (_name, answer) => {
    agent.onUpgrade = (_message, socket) => answer(socket);
    bind();
    expect(await refusal(await call())).toEqual([502, 'AgentBroken']);
    expect(await over()).toMatchObject({ outcome: 'ConnectionBroken', delivered: true });
  });

  it('Completed, when the caller hangs up before the agent has answered', async () => {
    const asked = new Promise<Peer>(
      (resolve) => (agent.onUpgrade = (_message, socket, head) => resolve(new Peer(socket, head))),
    );
    bind();
    const asking = await call();
    const callee = await asked;
    asking.hangUp();
    expect(await over()).toMatchObject({ outcome: 'Completed', delivered: true });
    await expect.poll(() => callee.hungUp, PATIENT).toBe(true);
  });

  it('at its limit, and both sides are cut off', async () => {
    const { caller, callee } = await opened();
    await clock.advanceAsync(59_999);
    expect(records).toEqual([]);
    await clock.advanceAsync(1);
    expect(records).toMatchObject([{ outcome: 'DeadlineExceeded', ranMs: 60_000 }]);
    await expect.poll(() => [caller.hungUp, callee.hungUp], PATIENT).toEqual([true, true]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('when it is told to stop, and both sides are cut off', async () => {
    const { caller, callee } = await opened();
    session?.end('Stopped');
    await expect.poll(() => [caller.hungUp, callee.hungUp], PATIENT).toEqual([true, true]);
    expect(records).toMatchObject([{ outcome: 'Stopped', delivered: true }]);
  });

  it('when it is told to stop while the agent is asked, and the caller is told', async () => {
    const asked = new Promise<Socket>((resolve) => (agent.onUpgrade = (_message, socket) => resolve(socket)));
    bind();
    const asking = await call();
    await asked;
    session?.end('Stopped');
    expect(await refusal(asking)).toEqual([503, 'SessionOver']);
    expect(records).toMatchObject([{ outcome: 'Stopped', delivered: true }]);
  });
});

describe('while nobody comes', () => {
  it('the session waits, and is not delivered when its start timeout is over', async () => {
    bind();
    await clock.advanceAsync(9_999);
    expect([session?.reply, records]).toEqual([{ state: 'waiting' }, []]);
    await clock.advanceAsync(300);
    expect(records).toMatchObject([
      { outcome: 'NeverReady', delivered: false, message: 'nobody opened its WebSocket within its start timeout' },
    ]);
    expect([agent.asked.length, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('the session can be stopped', async () => {
    bind();
    await clock.advanceAsync(1_000);
    session?.end('Stopped');
    expect(records).toMatchObject([{ outcome: 'Stopped', delivered: false }]);
    expect(await refusal(await call())).toEqual([409, 'NoWebSocket']);
  });
});

describe('a caller', () => {
  it('who comes before the agent is ready is served when it is', async () => {
    readiness = 'notReady';
    bind();
    const asking = await call();
    await clock.untilTimer(25);
    await clock.advanceAsync(3_000);
    expect([session?.reply, agent.asked.length]).toEqual([{ state: 'waiting' }, 0]);
    readiness = 'ready';
    await clock.advanceAsync(250);
    expect(await asking.answer).toHaveProperty('peer');
    expect(session?.reply.startedAt).toBeGreaterThan(1_003_000);
  });

  it('who waits is told when the session ends instead', async () => {
    readiness = 'notReady';
    bind();
    const asking = await call();
    await clock.untilTimer(25);
    await clock.advanceAsync(10_300);
    expect(await refusal(asking)).toEqual([503, 'SessionOver']);
    expect(records).toMatchObject([
      { outcome: 'NeverReady', delivered: false, message: 'the agent was not ready within its start timeout' },
    ]);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['closes its connection', (socket) => socket.end()],
    ['is reset', (socket) => socket.resetAndDestroy()],
  ])('who %s before the agent is ready is noticed, and leaves the place to another', async (_name, go) => {
    readiness = 'notReady';
    bind();
    const token = await makeToken('', FOR_WEBSOCKET);
    const first = connect(port, '127.0.0.1').on('error', () => undefined);
    first.write(
      `GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nauthorization: Bearer ${token}\r\n\r\n`,
    );
    await clock.untilTimer(25);
    expect(await refusal(await call())).toEqual([409, 'NoWebSocket']);
    go(first);
    await expect.poll(() => peers[0]?.destroyed, PATIENT).toBe(true);
    readiness = 'ready';
    await clock.advanceAsync(250);
    expect([session?.reply.state, agent.asked.length]).toEqual(['waiting', 0]);
    const second = await call();
    await expect.poll(() => clock.advanceAsync(250).then(() => agent.asked.length), PATIENT).toBe(1);
    expect(await second.answer).toHaveProperty('peer');
  });

  it('who speaks before it has its answer is heard by the agent all the same', async () => {
    readiness = 'notReady';
    bind();
    const token = await makeToken('', FOR_WEBSOCKET);
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nauthorization: Bearer ${token}\r\n\r\nearly `,
    );
    await clock.untilTimer(25);
    socket.write('bird');
    await expect.poll(() => peers[0]?.bytesRead, PATIENT).toBeGreaterThan(token.length + 10);
    readiness = 'ready';
    await clock.advanceAsync(250);
    expect((await (await agent.opened()).hears(10)).toString()).toBe('early bird');
    socket.destroy();
  });

  it('who does not stop speaking before it has its answer is dropped', async () => {
    readiness = 'notReady';
    bind();
    const token = await makeToken('', FOR_WEBSOCKET);
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      `GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nauthorization: Bearer ${token}\r\n\r\n`,
    );
    socket.write(Buffer.alloc(1_000_000));
    await closed;
    expect([session?.reply, records]).toEqual([{ state: 'waiting' }, []]);
  });

  it('is the only one', async () => {
    const { caller, callee } = await opened();
    expect(await refusal(await call())).toEqual([409, 'NoWebSocket']);
    caller.socket.write(text('still here'));
    expect(await callee.hears(12)).toEqual(text('still here'));
    expect(agent.asked).toHaveLength(1);
  });

  it.each<[string, TokenOptions]>([
    ['of the controller', { key: signers.controller.privateKey, kid: 'c1', iss: 'controller' }],
    ['of the controller that says it is the gateway', { key: signers.controller.privateKey, kid: 'c1' }],
    ['for another operation', { op: 'proxy' }],
    ['for another pod', { aud: 'other-pod' }],
    ['that has expired', { expiresIn: -120 }],
    ['of a stranger', { key: signers.stranger.privateKey }],
  ])('with a token %s gets 401', async (_name, options) => {
    bind();
    expect(await refusal(await call(options))).toEqual([401, 'Unauthorized']);
    expect([session?.reply.state, agent.asked.length]).toEqual(['waiting', 0]);
  });

  it('without a token gets 401, and its connection is not kept', async () => {
    bind();
    expect(await refusal(ask(port, {}))).toEqual([401, 'Unauthorized']);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write('GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.resume();
    await once(socket, 'end');
    await expect.poll(() => peers.every(({ destroyed }) => destroyed), PATIENT).toBe(true);
    socket.destroy();
  });

  it('with a token for another session, or before there is one, gets 409', async () => {
    expect(await refusal(await call())).toEqual([409, 'NotBound']);
    bind();
    expect(await refusal(await call({ sub: 'other-uid' }))).toEqual([409, 'AnotherSession']);
  });

  it('of a session that is told by POST /bot gets 409', async () => {
    readiness = 'notReady';
    const { transport: _transport, ...bot } = request;
    session = new BoundSession({
      request: bot,
      agent: {
        ready: () => Promise.resolve(readiness),
        bot: () => Promise.reject(new Error('no test asks for it')),
        webSocket: () => Promise.reject(new Error('it is no WebSocket')),
      },
      clock,
      onOver: (record) => records.push(record),
    });
    void session.run();
    expect(await refusal(await call())).toEqual([409, 'NoWebSocket']);
  });
});
