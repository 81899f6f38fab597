import type { KubeConfig } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';
import type {
  CallOptions,
  DeleteOptions,
  KubeApi,
  ListOptions,
  ListResult,
  Patch,
  PatchOptions,
  ReplaceOptions,
  Selection,
  WatchEvent,
  WatchOptions,
} from './api.ts';
import { sleep, type Clock } from './clock.ts';
import { Connections } from './connections.ts';
import type { Credentials, CredentialSource, TlsOptions } from './credentials.ts';
import { clientError, errorFromAnswer, KubeError } from './errors.ts';
import { exchange, type HttpAnswer, type HttpRequest } from './exchange.ts';
import { KubeConfigCredentials } from './kube-config.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject, NewObject } from './objects.ts';
import { apiVersionOf, pathOf, type ObjectRef, type Resource, type ResourcePath } from './resources.ts';
import { retryDelayMs } from './retry.ts';
import { openWatch } from './watch-stream.ts';

export type * from './api.ts';

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
  /** Deadline of a read with its retries, when the call gives none. Default 30 s. */
  readTimeoutMs?: number | undefined;
  /**
   * `?timeout=` of every mutation: when it has passed, the server has either carried the mutation out or never will. Default 5 s.
   * The client itself waits two seconds longer.
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

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml', // JSON is YAML
} as const;

/** What the public methods ask of the request path. */
interface Call {
  method: HttpRequest['method'];
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  options: CallOptions;
}

/**
 * A thin client of the Kubernetes API on kept HTTP/1.1 connections. Every call has a deadline; reads are retried while the server is
 * busy or away, mutations only when they were certainly not looked at; every failure is a {@link KubeError} that says whether a
 * mutation may have been carried out. Leader election should have a client (and so connections) of its own.
 */
export class KubeClient implements KubeApi {
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

  /** A client for the current context of a kubeconfig, or for the cluster that this process runs in. */
  static fromKubeConfig(config: KubeConfig | (() => KubeConfig), settings: KubeClientSettings): KubeClient {
    const credentials = new KubeConfigCredentials(config, settings);
    return new KubeClient({ ...settings, server: credentials.server, credentials });
  }

  async get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options: CallOptions = {}): Promise<T> {
    return await this.#call<T>({ method: 'GET', path: pathOf(resource, ref), options });
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    const { limit, continue: token, resourceVersion, resourceVersionMatch } = options;
    const query = { ...selectionQuery(options), limit, continue: token, resourceVersion, resourceVersionMatch };
    const path = pathOf(resource, { namespace: options.namespace });
    const answer = await this.#call<RawList<T>>({ method: 'GET', path, query, options });
    const next = answer.metadata.continue;
    // In a list the server leaves out what all items share; a watch does not. A cache must not hold both shapes.
    const items = (answer.items ?? []).map((item) => named(resource, item));
    const version = answer.metadata.resourceVersion;
    return { items, resourceVersion: version, ...(next !== undefined && next !== '' && { continue: next }) };
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    body: NewObject<T>,
    options: CallOptions = {},
  ): Promise<T> {
    return await this.#call<T>({
      method: 'POST',
      path: pathOf(resource, { namespace }),
      body: named(resource, body),
      options,
    });
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    options: PatchOptions = {},
  ): Promise<T> {
    const { subresource, fieldManager, force } = options;
    return await this.#call<T>({
      method: 'PATCH',
      path: pathOf(resource, { ...ref, subresource }),
      query: { fieldManager, force },
      body: patch.type === 'json' ? patch.ops : patch.body,
      contentType: patchTypes[patch.type],
      options,
    });
  }

  async replace<T extends KubeObject>(resource: Resource<T>, body: T, options: ReplaceOptions = {}): Promise<T> {
    const path: ResourcePath = { ...refOf(body), subresource: options.subresource };
    return await this.#call<T>({ method: 'PUT', path: pathOf(resource, path), body: named(resource, body), options });
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, gracePeriodSeconds, propagationPolicy };
    const answer = await this.#call<T>({ method: 'DELETE', path: pathOf(resource, ref), body, options });
    return answer.kind === 'Status' ? undefined : answer;
  }

  async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { resourceVersion, timeoutSeconds, signal } = options;
    const query = {
      ...selectionQuery(options),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
    };
    const path = this.#url(pathOf(resource, { namespace: options.namespace }), query);
    const what = `WATCH ${path}`;
    const { connections, headers } = await this.#ready(what);
    const started = this.#options.clock.monotonic();
    const answered = (code: string): void => this.#measure('GET', code, started);
    try {
      yield* openWatch<T>(connections.watches, {
        what,
        path,
        headers,
        signal,
        onAnswer: (code) => answered(String(code)),
      });
    } catch (error) {
      if (error instanceof KubeError && error.code === 401) this.#options.credentials.invalidate();
      throw error;
    }
  }

  /** Breaks off whatever still runs and closes all connections. The client cannot be used afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#connections?.destroy();
  }

  /** One call with its retries. */
  async #call<T>(call: Call): Promise<T> {
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

  /** The connections and headers for the next request. New certificates get new connections; what runs on the old ones may finish. */
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

  #url(path: string, query: Call['query'] = {}): string {
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

/** A list as it is on the wire. */
interface RawList<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[] | null;
}

function selectionQuery({ labelSelector, fieldSelector }: Selection): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

function named<Body extends { apiVersion?: string | undefined; kind?: string | undefined }>(
  resource: Resource,
  body: Body,
): Body {
  if (body.kind !== undefined && body.apiVersion !== undefined) return body;
  return { ...body, apiVersion: apiVersionOf(resource), kind: resource.kind };
}

function refOf({ metadata }: KubeObject): ObjectRef {
  const { name, namespace } = metadata;
  return namespace === undefined ? { name } : { name, namespace };
}

function parseAnswer(what: string, answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch (error) {
    throw clientError(what, 'InvalidAnswer', 'unknown', error);
  }
}
