import type { Dispatcher } from 'undici';
import type { CallOptions, WatchEvent } from './api.ts';
import { sleep, type Clock } from './clock.ts';
import { openStream } from './byte-stream.ts';
import { Connections } from './connections.ts';
import type { Credentials, CredentialSource, TlsOptions } from './credentials.ts';
import { clientError, errorFromAnswer, KubeError } from './errors.ts';
import { exchange, type HttpAnswer, type HttpRequest } from './exchange.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './objects.ts';
import { retryDelayMs } from './retry.ts';
import { openWatch } from './watch-stream.ts';

export interface KubeClientSettings {
  /** Sent as `User-Agent`; shows in the server's audit log: `bullpen-controller/1.2.3`. */
  userAgent: string;
  clock: Clock;
  /** Between 0 and 1, for jitter. */
  random: () => number;
  metrics?: KubeMetrics | undefined;
  logger?: Logger | undefined;
  /** Connections for requests; watches have their own. Default 32. */
  connections?: number | undefined;
  /** Deadline of a list with its retries, when the call gives none. Default 30 s. */
  readTimeoutMs?: number | undefined;
  /**
   * `?timeout=` of every mutation: when it has passed, the server has either carried the mutation out or never will.
   * Default 5 s. The client itself waits two seconds longer.
   */
  mutationTimeoutSeconds?: number | undefined;
  /** Called right before each mutation is written to its connection. A throw keeps it from being sent. */
  guard?: (() => void) | undefined;
}

export interface KubeClientOptions extends KubeClientSettings {
  /** URL of the API server; `http:` is for tests and local proxies. */
  server: string;
  credentials: CredentialSource;
}

/** How long the client waits for a mutation beyond the server's own deadline. */
const mutationGraceMs = 2000;

/** No list page or object comes near; it bounds memory against a broken server. */
const maxAnswerBytes = 256 * 1024 * 1024;

/** One call of the API. */
export interface Call {
  method: HttpRequest['method'];
  path: string;
  query?: Query;
  body?: unknown;
  contentType?: string;
  options: CallOptions;
}

type Query = Record<string, string | number | boolean | undefined>;

/** The way of every request to one API server: credentials, connections, deadlines, retries, measurement. */
export class Requester {
  readonly #options: KubeClientOptions;
  readonly #host: string;
  readonly #origin: string;
  readonly #basePath: string;
  #connections: Connections | undefined;
  #tls: TlsOptions | undefined;
  #closed = false;

  constructor(options: KubeClientOptions) {
    this.#options = options;
    const url = new URL(options.server);
    this.#host = url.host;
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/$/, '');
  }

  /** One call with its retries. */
  async call<T>(call: Call): Promise<T> {
    const { clock, random, guard, mutationTimeoutSeconds = 5, readTimeoutMs = 30_000 } = this.#options;
    const mutation = call.method !== 'GET';
    const query = mutation ? { ...call.query, timeout: `${mutationTimeoutSeconds}s` } : call.query;
    const path = this.#url(call.path, query);
    const what = `${call.method} ${path}`;
    const timeoutMs =
      call.options.timeoutMs ?? (mutation ? mutationTimeoutSeconds * 1000 + mutationGraceMs : readTimeoutMs);
    const deadline = clock.monotonic() + timeoutMs;
    const { signal } = call.options;
    const request = {
      what,
      method: call.method,
      path,
      signal,
      maxAnswerBytes,
      beforeSend: mutation ? guard : undefined,
    };
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const contentType = call.contentType ?? 'application/json';

    for (let tries = 1; ; tries++) {
      try {
        const { connections, headers } = await this.#ready(what);
        if (body !== undefined) headers['content-type'] = contentType;
        const left = Math.max(deadline - clock.monotonic(), 0);
        const answer = await this.#exchange(connections.requests, { ...request, headers, body, timeoutMs: left });
        return parseAnswer(what, answer) as T;
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.code === 401) this.#options.credentials.invalidate();
        const delay = retryDelayMs({ tries, mutation, error }, random);
        if (delay === undefined || clock.monotonic() + delay >= deadline) throw error;
        await sleep(clock, delay, signal).catch(() => {
          throw error; // given up while waiting: the last answer says more than "aborted"
        });
      }
    }
  }

  async *watch<T extends KubeObject>(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
    const url = this.#url(path, query);
    const what = `WATCH ${url}`;
    const { connections, headers } = await this.#ready(what);
    const started = this.#options.clock.monotonic();
    const onAnswer = (code: number | '<error>'): void => this.#measure('GET', String(code), started);
    try {
      yield* openWatch<T>(connections.watches, { what, path: url, headers, signal, onAnswer });
    } catch (error) {
      if (error instanceof KubeError && error.code === 401) this.#options.credentials.invalidate();
      throw error;
    }
  }

  /** An answer that comes bit by bit. */
  async *stream(path: string, query: Query, signal: AbortSignal): AsyncGenerator<Buffer> {
    const url = this.#url(path, query);
    const what = `GET ${url}`;
    const { connections, headers } = await this.#ready(what);
    const started = this.#options.clock.monotonic();
    const onAnswer = (code: number | '<error>'): void => this.#measure('GET', String(code), started);
    yield* openStream(connections.watches, { what, path: url, headers, signal, onAnswer });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connections?.destroy();
  }

  /** One try, measured. */
  async #exchange(pool: Dispatcher, request: HttpRequest): Promise<HttpAnswer> {
    const started = this.#options.clock.monotonic();
    try {
      const answer = await exchange(pool, request, this.#options.clock);
      this.#measure(request.method, String(answer.status), started);
      if (answer.status < 300) return answer;
      const retryAfter = answer.headers['retry-after'];
      throw errorFromAnswer(request.what, answer.status, answer.body, retryAfter);
    } catch (error) {
      if (error instanceof KubeError && error.code === 0) this.#measure(request.method, '<error>', started);
      throw error;
    }
  }

  /**
   * The connections and headers for the next request. New certificates get new connections; what runs on the old ones
   * may finish.
   */
  async #ready(what: string): Promise<{ connections: Connections; headers: Record<string, string> }> {
    let credentials: Credentials;
    try {
      credentials = await this.#options.credentials.current();
    } catch (error) {
      throw clientError(what, 'NoCredentials', 'refused', error);
    }
    if (this.#closed) throw clientError(what, 'ConnectFailed', 'refused', new Error('the client is closed'));
    if (this.#connections === undefined || credentials.tls !== this.#tls) {
      this.#connections?.retire().catch((error: unknown) => {
        this.#options.logger?.warn({ err: error }, 'closing the connections with the old certificates failed');
      });
      this.#connections = new Connections(this.#origin, credentials.tls, this.#options.connections ?? 32);
      this.#tls = credentials.tls;
    }
    const headers = { ...credentials.headers, accept: 'application/json', 'user-agent': this.#options.userAgent };
    return { connections: this.#connections, headers };
  }

  #url(path: string, query: Query = {}): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(name, String(value));
    }
    return `${this.#basePath}${path}${parameters.size === 0 ? '' : `?${parameters.toString()}`}`;
  }

  #measure(method: string, code: string, started: number): void {
    const host = this.#host;
    const seconds = (this.#options.clock.monotonic() - started) / 1000;
    this.#options.metrics?.count('requests', { code, method, host });
    this.#options.metrics?.observe('requestDuration', { verb: method, host }, seconds);
  }
}

function parseAnswer(what: string, answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch (error) {
    throw clientError(what, 'InvalidAnswer', 'unknown', error);
  }
}
