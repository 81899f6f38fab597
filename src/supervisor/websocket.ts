import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { settlesWithin, type Clock } from '../kube/clock.ts';
import type { AgentAddress, BotResult } from './agent-client.ts';
import type { Caller } from './caller.ts';
import { CloseFrames } from './close-frames.ts';

/** What is passed on of the caller's request: the rest is between the caller and whoever let it in. */
const HANDSHAKE = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol', 'sec-websocket-extensions'];

/** When the caller has hung up, the agent may take so long to notice before it counts as over. */
export const HANG_UP_MS = 5_000;
/** What the agent has said last may take so long to leave: the process ends with the session. */
export const FLUSH_MS = 5_000;

export interface WebSocketOptions {
  path: string;
  headers: Record<string, string>;
  /** Asked before the first byte leaves: with true the agent may have got it from then on, with false nothing leaves. */
  mayGo: () => boolean;
  /** Cuts both sides off. */
  signal: AbortSignal;
  clock: Clock;
}

/**
 * Makes the caller's WebSocket one to the agent, and passes on what either side says, byte for byte, until it is over. A status that is
 * not 101 is the agent's refusal, which the caller gets, too. A caller for whom nothing has left keeps waiting.
 */
export async function relayWebSocket(
  address: AgentAddress,
  caller: Caller,
  options: WebSocketOptions,
): Promise<BotResult> {
  const asked = await ask(address, caller, options);
  switch (asked.kind) {
    case 'agreed':
      return await passOn(caller, asked, options);
    case 'answered':
      // An answer that is no refusal is no WebSocket either.
      caller.refuse(asked.status < 400 ? 502 : asked.status, 'AgentRefused', 'the agent did not open the WebSocket');
      return asked;
    case 'broken':
      caller.refuse(502, 'AgentBroken', 'the agent broke the connection off');
      // It was our doing, because nobody was there any more who would have taken the answer.
      return caller.left.aborted ? { kind: 'closed' } : asked;
    case 'notSent':
    case 'closed':
      return asked;
  }
}

/** The agent's own words for the caller, and the connection, from which nothing has been read. */
interface Agreed {
  kind: 'agreed';
  answer: string;
  agent: Duplex;
}

function ask(
  address: AgentAddress,
  caller: Caller,
  { path, headers, mayGo, signal }: WebSocketOptions,
): Promise<Agreed | BotResult> {
  return new Promise((resolve) => {
    let gone = false;
    const call = request({
      ...address,
      agent: false,
      method: 'GET',
      path,
      headers: { ...handshake(caller.headers), ...headers, connection: 'Upgrade', upgrade: 'websocket' },
    });
    const settled = new AbortController();
    const settle = (result: Agreed | BotResult): void => {
      settled.abort();
      resolve(result);
    };
    const failed = (message: string): void => settle(gone ? { kind: 'broken', message } : { kind: 'notSent' });
    const giveUp = (): void => {
      call.destroy();
      if (gone) caller.refuse(503, 'SessionOver', 'the session is over');
    };
    for (const end of [signal, caller.left])
      end.addEventListener('abort', giveUp, { once: true, signal: settled.signal });
    call.on('socket', (socket) => {
      socket.setKeepAlive(true, 30_000).setNoDelay(true);
      socket.once('connect', () => {
        gone = mayGo();
        if (gone) call.end();
        else call.destroy();
      });
    });
    call.on('upgrade', (answer: IncomingMessage, agent: Duplex, head: Buffer) => {
      // Whoever takes it listens only a moment later.
      agent.on('error', () => undefined);
      if (head.length > 0) agent.unshift(head);
      settle({ kind: 'agreed', answer: headOf(answer), agent });
    });
    call.on('response', (answer: IncomingMessage) => {
      settle({ kind: 'answered', status: answer.statusCode ?? 0 });
      answer.destroy();
    });
    call.on('error', (error) => failed(error.message));
    call.on('close', () => failed('no answer'));
  });
}

/** Until either side hangs up. An agent that does so without a closing frame has crashed, or as good as. */
async function passOn(
  caller: Caller,
  { answer, agent }: Agreed,
  { signal, clock }: WebSocketOptions,
): Promise<BotResult> {
  if (caller.left.aborted || signal.aborted) {
    agent.destroy();
    caller.refuse(503, 'SessionOver', 'the session is over');
    return { kind: 'closed' };
  }
  const socket = caller.accept(answer);
  const cut = (): void => {
    agent.destroy();
    socket.destroy();
  };
  signal.addEventListener('abort', cut, { once: true });
  const said = { agent: new CloseFrames(), caller: new CloseFrames() };
  const over = { agent: ended(agent), caller: ended(socket) };
  pass(agent, socket, said.agent);
  pass(socket, agent, said.caller);
  const callerWasFirst = await Promise.race([over.agent.then(() => false), over.caller.then(() => true)]);
  if (callerWasFirst) {
    agent.end();
    await settlesWithin(clock, over.agent, HANG_UP_MS);
  }
  agent.destroy();
  await settlesWithin(clock, flushed(socket), FLUSH_MS);
  signal.removeEventListener('abort', cut);
  socket.destroy();
  return callerWasFirst || said.agent.seen || said.caller.seen
    ? { kind: 'closed' }
    : { kind: 'broken', message: 'no closing frame' };
}

/** Passes on what one side says, at the pace of the other. When that is gone, the rest is heard and dropped. */
function pass(from: Duplex, to: Duplex, frames: CloseFrames): void {
  const goOn = (): void => void from.resume();
  to.on('drain', goOn).on('close', goOn);
  from.on('data', (chunk: Buffer) => {
    frames.push(chunk);
    if (to.writable && !to.write(chunk)) from.pause();
  });
  from.resume();
}

/** Resolves when the other end has hung up, in whatever way. */
function ended(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => resolve();
    stream.on('end', done).on('error', done).on('close', done);
    if (stream.destroyed || stream.readableEnded) done();
  });
}

/** Hangs up; resolves when all that was said before is on its way. */
function flushed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve);
    if (stream.destroyed) resolve();
    else stream.end(resolve);
  });
}

function handshake(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    HANDSHAKE.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

/** The agent's 101, as it came: it answers the caller's own key. */
function headOf({ statusCode = 101, statusMessage = '', rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i] ?? ''}: ${rawHeaders[i + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
