import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** One request, which the test answers when and as badly as it likes. */
export class ScriptedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly response: ServerResponse;
  readonly socket: Socket;

  constructor(message: IncomingMessage, body: string, response: ServerResponse) {
    this.method = message.method ?? '';
    this.url = new URL(message.url ?? '', 'http://scripted');
    this.headers = message.headers;
    this.body = body;
    this.response = response;
    this.socket = message.socket;
  }

  /** `GET /api/v1/pods`, with `WATCH` for watches and `STREAM` for lists that are streamed as watches. */
  get what(): string {
    const verb = this.url.searchParams.has('sendInitialEvents') ? 'STREAM' : 'WATCH';
    return `${this.url.searchParams.has('watch') ? verb : this.method} ${this.url.pathname}`;
  }

  /** Resolves when the connection is closed, by whoever. */
  get closed(): Promise<unknown> {
    return this.socket.closed ? Promise.resolve() : new Promise((resolve) => this.socket.once('close', resolve));
  }

  query(name: string): string | null {
    return this.url.searchParams.get(name);
  }

  json(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  }

  /** A refusal as the API server words it. */
  status(code: number, reason: string, headers: Record<string, string> = {}, more: object = {}): void {
    this.json(code, { kind: 'Status', code, reason, message: `scripted ${reason}`, ...more }, headers);
  }

  /** A list of objects. */
  list(resourceVersion: string, items: unknown[], next?: string): void {
    this.json(200, { kind: 'List', metadata: { resourceVersion, continue: next }, items });
  }

  /** A list of objects, streamed, and its end. */
  async stream(resourceVersion: string, items: unknown[]): Promise<void> {
    for (const item of items) await this.event('ADDED', item);
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    await this.event('BOOKMARK', { metadata: { resourceVersion, annotations } });
  }

  /** Sends bytes of a watch, its headers before the first ones, and waits until they have left. */
  async send(bytes: string | Buffer): Promise<void> {
    this.open();
    await new Promise<void>((resolve, reject) => {
      this.response.write(bytes, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Accepts a watch without an event. */
  open(): void {
    if (this.response.headersSent) return;
    this.response.writeHead(200, { 'content-type': 'application/json' });
    this.response.flushHeaders();
  }

  /** One event of a watch. */
  async event(type: string, object: unknown): Promise<void> {
    await this.send(`${JSON.stringify({ type, object })}\n`);
  }

  /** Ends a watch in the regular way. */
  end(): void {
    this.open();
    this.response.end();
  }

  /** Breaks the connection (RST). */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** An HTTP server on loopback that hands every request to the test, in order of arrival. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #arrived: ScriptedRequest[] = [];
  readonly #waiting: ((request: ScriptedRequest) => void)[] = [];
  readonly #scheme: 'http' | 'https';
  /** Where it listens. */
  url = '';
  /** TCP connections accepted so far. */
  connections = 0;

  constructor(tls?: ServerOptions) {
    const listener = (message: IncomingMessage, response: ServerResponse): void => {
      response.on('error', () => undefined);
      text(message).then(
        (body) => this.#arrive(new ScriptedRequest(message, body, response)),
        () => undefined, // the client gave up while it sent
      );
    };
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#server.on('connection', () => this.connections++);
    // Tests decide when a connection ends.
    this.#server.keepAliveTimeout = 0;
    this.#server.requestTimeout = 0;
  }

  /** Starts to listen; the result is the URL. */
  async listen(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port: bound } = this.#server.address() as AddressInfo;
    this.url = `${this.#scheme}://127.0.0.1:${bound}`;
    return this.url;
  }

  /** The next request that no test has taken yet, as soon as it is there. */
  next(): Promise<ScriptedRequest> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return Promise.resolve(arrived);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Requests that have arrived and that nobody has taken. */
  get untaken(): readonly ScriptedRequest[] {
    return this.#arrived;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #arrive(request: ScriptedRequest): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(request);
    else waiting(request);
  }
}
