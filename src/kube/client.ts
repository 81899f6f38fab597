import type { KubeConfig } from '@kubernetes/client-node';
import type {
  CallOptions,
  DeleteOptions,
  KubeApi,
  ListOptions,
  LogOptions,
  ListResult,
  Patch,
  PatchOptions,
  PodLogs,
  ReplaceOptions,
  Selection,
  WatchEvent,
  WatchOptions,
} from './api.ts';
import { KubeConfigCredentials } from './kube-config.ts';
import { LogLines, type LogLine } from './log-lines.ts';
import type { KubeObject, NewObject } from './objects.ts';
import { Requester, type KubeClientOptions, type KubeClientSettings } from './requester.ts';
import { apiVersionOf, pathOf, pods, refOf, type ObjectRef, type Resource } from './resources.ts';

export type * from './api.ts';
export type { KubeClientOptions, KubeClientSettings } from './requester.ts';

/** Longer lines of a log are cut off. */
const maxLogLineBytes = 256 * 1024;

/** Deadline of a read of one object with its retries, when the call gives none: somebody waits for it. */
const getTimeoutMs = 10_000;

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml', // JSON is YAML
} as const;

/**
 * A thin client of the Kubernetes API on kept HTTP/1.1 connections. Every call has a deadline; reads are retried while
 * the server is busy or away, mutations only when they were certainly not looked at; every failure is a {@link
 * KubeError} that says whether a mutation may have been carried out. Leader election should have a client (and so
 * connections) of its own.
 */
export class KubeClient implements KubeApi, PodLogs {
  readonly #requester: Requester;

  constructor(options: KubeClientOptions) {
    this.#requester = new Requester(options);
  }

  /** A client for the current context of a kubeconfig, or for the cluster that this process runs in. */
  static fromKubeConfig(config: KubeConfig | (() => KubeConfig), settings: KubeClientSettings): KubeClient {
    const credentials = new KubeConfigCredentials(config, settings);
    return new KubeClient({ ...settings, server: credentials.server, credentials });
  }

  async get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options: CallOptions = {}): Promise<T> {
    const bounded = { ...options, timeoutMs: options.timeoutMs ?? getTimeoutMs };
    return await this.#requester.call<T>({ method: 'GET', path: pathOf(resource, ref), options: bounded });
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    const { limit, continue: token, resourceVersion, resourceVersionMatch } = options;
    const query = { ...selectionQuery(options), limit, continue: token, resourceVersion, resourceVersionMatch };
    const path = pathOf(resource, { namespace: options.namespace });
    const answer = await this.#requester.call<RawList<T>>({ method: 'GET', path, query, options });
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
    return await this.#requester.call<T>({
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
    return await this.#requester.call<T>({
      method: 'PATCH',
      path: pathOf(resource, { ...ref, subresource }),
      query: { fieldManager, force },
      body: patch.type === 'json' ? patch.ops : patch.body,
      contentType: patchTypes[patch.type],
      options,
    });
  }

  async replace<T extends KubeObject>(resource: Resource<T>, body: T, options: ReplaceOptions = {}): Promise<T> {
    const path = { ...refOf(body), subresource: options.subresource };
    return await this.#requester.call<T>({
      method: 'PUT',
      path: pathOf(resource, path),
      body: named(resource, body),
      options,
    });
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, gracePeriodSeconds, propagationPolicy };
    const answer = await this.#requester.call<T>({ method: 'DELETE', path: pathOf(resource, ref), body, options });
    return answer.kind === 'Status' ? undefined : answer;
  }

  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { namespace, resourceVersion, timeoutSeconds, signal } = options;
    const query = {
      ...selectionQuery(options),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      ...(options.sendInitialEvents === true && {
        sendInitialEvents: true,
        resourceVersionMatch: 'NotOlderThan',
      }),
      timeoutSeconds,
    };
    return this.#requester.watch<T>(pathOf(resource, { namespace }), query, signal);
  }

  async *podLog(ref: ObjectRef, { container, follow, tailLines, signal }: LogOptions): AsyncGenerator<LogLine> {
    const lines = new LogLines(maxLogLineBytes);
    const query = { container, follow, tailLines, timestamps: true };
    for await (const chunk of this.#requester.stream(pathOf(pods, { ...ref, subresource: 'log' }), query, signal))
      yield* lines.push(chunk);
    yield* lines.end();
  }

  /** A path that belongs to no resource, such as `/version`. */
  async raw<T>(path: string, options: CallOptions = {}): Promise<T> {
    return await this.#requester.call<T>({ method: 'GET', path, options });
  }

  /** Breaks off whatever still runs and closes all connections. The client cannot be used afterwards. */
  async close(): Promise<void> {
    await this.#requester.close();
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
