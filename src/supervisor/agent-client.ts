import { Agent, request, type IncomingMessage } from 'node:http';
import type { Caller } from './caller.ts';
import { relayWebSocket, type WebSocketOptions } from './websocket.ts';

/** What the agent says of itself. */
export type Readiness = 'ready' | 'notReady' | 'unreachable';

/**
 * How `POST /bot` or a WebSocket went.
 *
 * - `notSent`: there was no connection, so not a byte of it has left
 * - `answered`: `POST /bot` is over; a WebSocket was not opened
 * - `closed`: a WebSocket is over, because either side wanted it so
 * - `broken`: the agent went away without a word
 */
export type BotResult =
  { kind: 'notSent' } | { kind: 'answered'; status: number } | { kind: 'closed' } | { kind: 'broken'; message: string };

export interface AgentAddress {
  host: string;
  port: number;
}

/** A readiness probe that hangs is no readiness. */
const READY_TIMEOUT_MS = 2_000;

/** The one status from 500 on that speaks of the request and not of the server: Python's `http.server` knows no GET unless it is taught. */
const NOT_IMPLEMENTED = 501;

/** The user's container, over loopback: Pipecat's container contract from the platform's side. */
export class AgentClient {
  readonly #address: AgentAddress;
  // Of its own, so that no connection is kept: an agent that restarts must not be met half-way.
  readonly #connections = new Agent({ keepAlive: false });

  constructor(address: AgentAddress) {
    this.#address = address;
  }

  /** `GET /readyz`. Images that do not have it are ready when their port answers, whatever it says of that request. */
  ready(): Promise<Readiness> {
    return new Promise((resolve) => {
      const probe = request(
        { ...this.#address, agent: this.#connections, method: 'GET', path: '/readyz', timeout: READY_TIMEOUT_MS },
        (answer) => {
          answer.resume();
          const { statusCode = 500 } = answer;
          resolve(statusCode < 500 || statusCode === NOT_IMPLEMENTED ? 'ready' : 'notReady');
          answer.destroy();
        },
      );
      probe.on('timeout', () => probe.destroy());
      probe.on('error', () => resolve('unreachable'));
      probe.on('close', () => resolve('unreachable'));
      probe.end();
    });
  }

  /**
   * `POST /bot`, held open for as long as the agent takes: hours.
   *
   * @param mayGo asked before the first byte leaves: with true the agent may have got it from then on, with false nothing leaves
   */
  bot(headers: Record<string, string>, bytes: Buffer, mayGo: () => boolean): Promise<BotResult> {
    return new Promise((resolve) => {
      let gone = false;
      const broken = (message: string): void => resolve(gone ? { kind: 'broken', message } : { kind: 'notSent' });
      const call = request({
        ...this.#address,
        agent: this.#connections,
        method: 'POST',
        path: '/bot',
        headers: { ...headers, 'content-type': 'application/json', 'content-length': bytes.length },
      });
      call.on('socket', (socket) => {
        // Hours may pass without a byte; only probes of the connection tell a dead peer from a silent one.
        socket.setKeepAlive(true, 30_000).setNoDelay(true);
        socket.once('connect', () => {
          gone = mayGo();
          if (gone) call.end(bytes);
          else call.destroy();
        });
      });
      call.on('response', (answer: IncomingMessage) => {
        const status = answer.statusCode ?? 0;
        // What it says does not matter; that it has said all of it does.
        answer.resume();
        answer.on('end', () => resolve({ kind: 'answered', status }));
        answer.on('error', (error) => broken(error.message));
      });
      call.on('error', (error) => broken(error.message));
      call.on('close', () => broken('no answer'));
    });
  }

  /**
   * `GET /ws` for a caller, held open for as long as both of them like.
   *
   * @param options.body base64, as the contract has it in the address
   */
  webSocket(caller: Caller, options: Omit<WebSocketOptions, 'path'> & { body: string }): Promise<BotResult> {
    const path = `/ws?${new URLSearchParams({ body: options.body }).toString()}`;
    return relayWebSocket(this.#address, caller, { ...options, path });
  }
}
