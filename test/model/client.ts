import type {
  CallOptions,
  DeleteOptions,
  KubeApi,
  ListOptions,
  ListResult,
  Patch,
  PatchOptions,
  ReplaceOptions,
  WatchEvent,
  WatchOptions,
} from '../../src/kube/api.ts';
import { abortReason, type Clock } from '../../src/kube/clock.ts';
import { clientError } from '../../src/kube/errors.ts';
import type { KubeObject, NewObject } from '../../src/kube/objects.ts';
import type { ObjectRef, Resource } from '../../src/kube/resources.ts';
import type { ApiServer } from './api-server.ts';
import { errorOf, MUTATION_TIMEOUT_MS, type Network, type Request } from './network.ts';
import type { Process } from './process.ts';
import { openWatch } from './watch.ts';

/** When the client gives up a mutation: a little after the server does. */
const CLIENT_DEADLINE_MS = MUTATION_TIMEOUT_MS + 2_000;

export interface ModelClientOptions {
  server: ApiServer;
  process: Process;
  network: Network;
  /** The world's time: requests go on their way whatever becomes of their process. */
  clock: Clock;
  /** The guard of the real client: asked at the very moment a mutation leaves. */
  mayWrite: () => boolean;
  /** Told of every mutation that leaves. */
  onRequest: (request: Request) => void;
}

type Target = Omit<Request, 'by' | 'at'>;

/** The API server as one process of the controller meets it: late, unreliable, and through stale watches. */
export class ModelClient implements KubeApi {
  readonly #options: ModelClientOptions;

  constructor(options: ModelClientOptions) {
    this.#options = options;
  }

  async get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: CallOptions): Promise<T> {
    const target = { verb: 'get', plural: resource.plural, name: ref.name, status: false } as const;
    return await this.#read(target, () => this.#options.server.get(resource, ref), options);
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    const { server } = this.#options;
    const target = { verb: 'list', plural: resource.plural, name: '', status: false } as const;
    const run = () => ({ items: server.list(resource, options), resourceVersion: server.version });
    return await this.#read(target, run, options);
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    body: NewObject<T>,
  ): Promise<T> {
    const target = this.#target('create', resource, body.metadata.name ?? '');
    return await this.#mutate(target, (by) => this.#options.server.create(resource, namespace, body, by));
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    { subresource }: PatchOptions = {},
  ): Promise<T> {
    const target = this.#target('patch', resource, ref.name, subresource);
    return await this.#mutate(target, (by) => this.#options.server.patch(resource, ref, patch, { subresource, by }));
  }

  async replace<T extends KubeObject>(
    resource: Resource<T>,
    body: T,
    { subresource }: ReplaceOptions = {},
  ): Promise<T> {
    const target = this.#target('patch', resource, body.metadata.name, subresource);
    return await this.#mutate(target, (by) => this.#options.server.replace(resource, body, { subresource, by }));
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const target = this.#target('delete', resource, ref.name);
    return await this.#mutate(target, (by) => this.#options.server.delete(resource, ref, { ...options, by }));
  }

  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    return options.sendInitialEvents === true
      ? this.#streamList(resource, options)
      : openWatch(this.#options, resource, options);
  }

  /** The events of a list that is streamed. They arrive together. */
  async *#streamList<T extends KubeObject>(
    resource: Resource<T>,
    { namespace, labelSelector, fieldSelector, signal }: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const selection = { namespace, labelSelector, fieldSelector, signal };
    const { items, resourceVersion } = await this.list(resource, selection);
    for (const object of items) yield { type: 'ADDED', object };
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    yield { type: 'BOOKMARK', object: { metadata: { resourceVersion, annotations } } };
  }

  #target(verb: Target['verb'], resource: Resource, name: string, subresource?: string): Target {
    return { verb, plural: resource.plural, name, status: subresource === 'status' };
  }

  #read<T>(target: Target, run: () => T, { signal }: CallOptions = {}): Promise<T> {
    const { clock, process, network } = this.#options;
    const what = `${target.verb} ${target.plural} ${target.name}`;
    const [there, back] = network.latency();
    const fate = network.fateOf(target);
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => reject(clientError(what, 'Aborted', 'unknown', signal && abortReason(signal)));
      signal?.addEventListener('abort', abort, { once: true });
      clock.setTimeout(() => {
        const fail = (): void => reject(errorOf({ kind: 'lost' }, what));
        const settle = fate === undefined ? attempt(run, resolve, reject) : fail;
        clock.setTimeout(() => {
          signal?.removeEventListener('abort', abort);
          process.enter(settle);
        }, back);
      }, there);
    });
  }

  #mutate<T>(target: Target, run: (by: string) => T): Promise<T> {
    const { clock, process, network, mayWrite, onRequest } = this.#options;
    const what = `${target.verb} ${target.plural} ${target.name}`;
    if (!mayWrite()) return Promise.reject(clientError(what, 'Guarded', 'refused'));
    onRequest({ ...target, by: process.name, at: clock.monotonic() });
    const [latency, back] = network.latency();
    const there = Math.min(latency, MUTATION_TIMEOUT_MS);
    const fate = network.fateOf(target);
    return new Promise((resolve, reject) => {
      const carryOut = (): (() => void) => attempt(() => run(process.name), resolve, reject);
      const at = (ms: number, fn: () => void): void => void clock.setTimeout(fn, ms);
      const tell = (ms: number, settle: () => void): void => at(ms, () => process.enter(settle));
      const fail = (): void => {
        if (fate !== undefined) reject(errorOf(fate, what));
      };
      switch (fate?.kind) {
        case undefined:
          at(there, () => tell(back, carryOut()));
          return;
        case 'refused':
        case 'failed':
        case 'lost':
          tell(there + back, fail);
          return;
        case 'replyLost':
          at(there, carryOut);
          tell(there + back, fail);
          return;
        case 'late':
          at(Math.max(there, Math.min(fate.afterMs, MUTATION_TIMEOUT_MS)), carryOut);
          tell(there, fail);
          return;
        case 'tooLate':
          at(fate.afterMs, carryOut);
          tell(there, fail);
          return;
        case 'slow':
          at(Math.min(fate.afterMs, MUTATION_TIMEOUT_MS), () => {
            tell(back, carryOut());
          });
          tell(CLIENT_DEADLINE_MS, fail);
      }
    });
  }
}

/** Does it now, and returns what tells the caller. */
function attempt<T>(run: () => T, resolve: (value: T) => void, reject: (error: Error) => void): () => void {
  try {
    const result = run();
    return () => resolve(result);
  } catch (error) {
    return () => reject(error as Error);
  }
}
