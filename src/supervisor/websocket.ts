import { request, STATUS_CODES, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AgentAddress, BotResult } from './agent-client.ts';
import { CloseFrames } from './close-frames.ts';

/** Somebody who wants a WebSocket: the connection from which a request for one has been read, and not a byte written to. */
export interface Caller {
  headers: IncomingHttpHeaders;
  socket: Duplex;
  /** What came right behind the request. */
  head: Buffer;
}

/** What is passed on of the caller's request: the rest is between the caller and whoever let it in. */
const HANDSHAKE = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol', 'sec-websocket-extensions'];

/** When the caller has hung up, the agent may take so long to notice before it counts as over. */
const HANG_UP_MS = 5_000;

export interface WebSocketOptions {
  path: string;
  headers: Record<string, string>;
  /** Asked before the first byte leaves: with true the agent may have got it from then on, with false nothing leaves. */
  mayGo: () => boolean;
  /** Cuts both sides off. */
  signal: AbortSignal;
}

/**
 * Makes the caller's WebSocket one to the agent, and passes on what either side says, byte for byte, until it is over. A status that is
 * not 101 is the agent's refusal, which the caller gets, too.
 */
export function relayWebSocket(
  address: AgentAddress,
  caller: Caller,
  { path, headers, mayGo, signal }: WebSocketOptions,
): Promise<BotResult> {
  return new Promise((resolve) => {
    let gone = false;
    let relayed = false;
    const call = request({
      ...address,
      agent: false,
      method: 'GET',
      path,
      headers: { ...handshake(caller.headers), ...headers, connection: 'Upgrade', upgrade: 'websocket' },
    });
    const broken = (message: string): void => resolve(gone ? { kind: 'broken', message } : { kind: 'notSent' });
    signal.addEventListener('abort', () => call.destroy(), { once: true });
    call.on('socket', (socket) => {
      socket.setKeepAlive(true, 30_000).setNoDelay(true);
      socket.once('connect', () => {
        gone = mayGo();
        if (gone) call.end();
        else call.destroy();
      });
    });
    call.on('upgrade', (answer: IncomingMessage, agent: Duplex, head: Buffer) => {
      relayed = true;
      caller.socket.write(responseHead(answer));
      void passOn(caller, agent, head, signal).then(resolve);
    });
    call.on('response', (answer: IncomingMessage) => {
      const { statusCode: status = 502 } = answer;
      refuseUpgrade(caller.socket, status, '');
      answer.destroy();
      resolve({ kind: 'answered', status });
    });
    call.on('error', (error) => broken(error.message));
    call.on('close', () => {
      if (!relayed) broken('the agent closed the connection');
    });
  });
}

/** Answers a request for a WebSocket with a status, and hangs up. */
export function refuseUpgrade(socket: Duplex, status: number, body: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function passOn(caller: Caller, agent: Duplex, head: Buffer, signal: AbortSignal): Promise<BotResult> {
  return new Promise((resolve) => {
    const said = new CloseFrames();
    const hear = (chunk: Buffer): void => said.push(chunk);
    let callerGone = false;
    const over = (): void => {
      // Whoever hangs up first ends the session; an agent that does so without a word has crashed, or as good as.
      const orderly = said.seen || callerGone;
      resolve(
        orderly
          ? { kind: 'answered', status: 101 }
          : { kind: 'broken', message: 'the agent closed the WebSocket without a closing frame' },
      );
      caller.socket.end();
      agent.destroy();
    };
    const hangUp = (): void => {
      if (callerGone) return;
      callerGone = true;
      agent.end();
      setTimeout(over, HANG_UP_MS).unref();
    };
    const cut = (): void => {
      agent.destroy();
      caller.socket.destroy();
    };
    signal.addEventListener('abort', cut, { once: true });
    agent.on('data', hear);
    agent.on('end', over).on('error', over).on('close', over);
    caller.socket.on('end', hangUp).on('error', hangUp).on('close', hangUp);
    if (head.length > 0) {
      hear(head);
      caller.socket.write(head);
    }
    if (caller.head.length > 0) agent.write(caller.head);
    agent.pipe(caller.socket, { end: false });
    caller.socket.pipe(agent, { end: false });
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
function responseHead({ statusCode = 101, statusMessage = '', rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i] ?? ''}: ${rawHeaders[i + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
