import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** One end of an open WebSocket, as nothing but bytes. */
export class Peer {
  readonly socket: Socket;
  readonly #chunks: Buffer[];
  #bytes: number;
  #hungUp = false;

  constructor(socket: Socket, head: Buffer) {
    this.socket = socket;
    this.#chunks = [Buffer.from(head)];
    this.#bytes = head.length;
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
    });
    const gone = (): void => void (this.#hungUp = true);
    socket.on('end', gone).on('error', gone).on('close', gone);
  }

  /** Whether the other side has hung up. */
  get hungUp(): boolean {
    return this.#hungUp;
  }

  /** All that has been heard, once it is so many bytes. */
  async hears(bytes: number): Promise<Buffer> {
    while (this.#bytes < bytes) await once(this.socket, 'data');
    return Buffer.concat(this.#chunks);
  }
}

/** A server that takes WebSockets without looking at what they say. */
export class WebSocketAgent {
  /** Requests for WebSockets, in order. */
  readonly asked: IncomingMessage[] = [];
  /** What it does with one; the default opens it. */
  onUpgrade = (message: IncomingMessage, socket: Socket, head: Buffer): void => this.open(message, socket, head);
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #opened: Peer[] = [];
  #onOpened: () => void = () => undefined;

  constructor() {
    this.#server = createServer((_message, response) => response.writeHead(404).end());
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket.on('error', () => undefined));
    });
    this.#server.on('upgrade', (message, socket: Socket, head) => {
      this.asked.push(message);
      this.onUpgrade(message, socket, head);
    });
  }

  /** @returns its port */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  open(message: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: for ${message.headers['sec-websocket-key'] ?? ''}\r\nX-Name: gr\u00fc\u00dfe\r\n\r\n`,
      'latin1',
    );
    this.#opened.push(new Peer(socket, head));
    this.#onOpened();
  }

  /** Its end of the WebSocket that was opened first. */
  async opened(): Promise<Peer> {
    const [first] = this.#opened;
    if (first !== undefined) return first;
    await new Promise<void>((resolve) => (this.#onOpened = resolve));
    return await this.opened();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** What became of a request for a WebSocket. */
export type Opened = { peer: Peer; headers: IncomingMessage['headers'] } | { status: number; body: string };

export interface Asking {
  /** Resolves with the answer; rejects when there is none. */
  answer: Promise<Opened>;
  /** Goes away without waiting for the answer. */
  hangUp: () => void;
}

/** Asks for a WebSocket. */
export function ask(port: number, headers: Record<string, string>, path = '/ws'): Asking {
  const call = request({
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      ...headers,
    },
  });
  const answer = new Promise<Opened>((resolve, reject) => {
    call.on('upgrade', (message, socket: Socket, head) =>
      resolve({ peer: new Peer(socket, head), headers: message.headers }),
    );
    call.on('response', (message) => {
      let body = '';
      message.on('data', (chunk: Buffer) => (body += chunk.toString()));
      message.on('end', () => resolve({ status: message.statusCode ?? 0, body }));
    });
    call.on('error', reject);
  });
  answer.catch(() => undefined);
  call.end();
  return { answer, hangUp: () => call.destroy() };
}
