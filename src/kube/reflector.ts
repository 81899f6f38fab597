import type { KubeApi, Selection } from './api.ts';
import { Backoff } from './backoff.ts';
import { abortReason, sleep, type Clock } from './clock.ts';
import { mayComeInPages, pagedList, streamedList, type CompleteList } from './complete-list.ts';
import { errorFromStatus, isForbidden, isGone, KubeError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './objects.ts';
import { compareVersions } from './resource-version.ts';
import type { Resource } from './resources.ts';
import { SharedRun } from './shared-run.ts';
import { SilenceGuard } from './silence-guard.ts';
import { keyOf, type Store } from './store.ts';

/** client-go's numbers: 800 ms, doubling to 30 s, forgotten after two minutes without a failure. */
const backoff = { baseMs: 800, maxMs: 30_000, resetAfterMs: 120_000 };

/**
 * The server is asked to end a watch after five to ten minutes, at random, so that watches spread over the servers
 * again.
 */
const watchSeconds = { min: 300, max: 600 };

/**
 * A watch that ends this soon without an event has failed, whatever the server calls it; coming back at once would
 * hammer it.
 */
const shortestWatchMs = 1000;

/** A list that is streamed and says nothing for so long is dead. As for other reads. */
const listSilenceMs = 30_000;

/** A server that asks for more patience than this does not know how long it will take. */
const longestRetryAfterMs = 60_000;

/**
 * Why everything is listed: at the start, the watch's version expired, it sent what cannot be used, it fell silent, or
 * the rights to it were taken.
 */
type ListCause = 'initial' | 'expired' | 'broken' | 'silent' | 'refused';

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  api: KubeApi;
  resource: Resource<T>;
  /** Label of metrics and logs. */
  name: string;
  store: Store<T>;
  transform: (object: T) => T;
  pageSize: number;
  /** A watch that says nothing for so long is dead, milliseconds. */
  silenceMs: number;
  clock: Clock;
  random: () => number;
  logger?: Logger | undefined;
  metrics?: KubeMetrics | undefined;
  /** Stops everything. */
  signal: AbortSignal;
}

/**
 * Keeps one scope of a store (a namespace, or all) as the server has it: a list, then a watch from there, for ever.
 *
 * Whatever goes wrong, it comes back:
 * - the watch ends in its time: watch on from the last version;
 * - the connection breaks, or the server is busy or away: the same, after a pause;
 * - the version has expired (410, as status or as event): list, then watch;
 * - the watch fails in another way, or sends what is no event: list, for the same thing would come again;
 * - the watch falls silent although bookmarks are due every minute: the connection is dead, or the version lies in the
 *   server's future (a restored backup), so list;
 * - the namespace may not be listed any more: say so, and keep asking.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #scope: string | undefined;
  readonly #backoff: Backoff;
  readonly #lists: SharedRun;
  /** Why a list is due; undefined while the watch can go on from where the store is. */
  #listCause: ListCause | undefined = 'initial';
  #lastActivity: number;
  /** Whether the server streams lists, as far as we know. */
  #streams = true;
  /** The server's last answer to a list of this namespace, when it refused. */
  #refusal: KubeError | undefined;
  /** The watch that is open. */
  #watching: SilenceGuard | undefined;
  readonly #firstList = Promise.withResolvers<undefined>();

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#scope = options.namespace;
    this.#backoff = new Backoff(backoff, options.clock, options.random);
    this.#lists = new SharedRun(() => this.#listUntilDone());
    this.#lastActivity = options.clock.monotonic();
    this.#firstList.promise.catch(() => undefined); // nobody need be waiting
  }

  /** The namespace, when the server refuses to list it: what the store shows of it may be old. */
  get refusedNamespace(): string | undefined {
    return this.#refusal === undefined ? undefined : this.#scope;
  }

  /** Resolves when everything has been listed once, or refused; rejects when the reflector is stopped before. */
  get firstList(): Promise<unknown> {
    return this.#firstList.promise;
  }

  /** When the server last said anything (monotonic milliseconds). */
  get lastActivity(): number {
    return this.#lastActivity;
  }

  /** Works until the signal is aborted. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#listCause !== undefined) {
          await this.#lists.run();
          if (this.#refusal !== undefined) throw this.#refusal;
          this.#listCause = undefined;
        }
        await this.#watch();
      } catch (error) {
        if (isGone(error)) this.#listCause = 'expired';
        else if (this.#isRefusal(error)) this.#listCause = 'refused';
        await this.#pause(error, 'watching').catch(() => undefined);
      }
    }
    this.#firstList.reject(abortReason(signal));
  }

  /**
   * Resolves when a list that started after this call is in the store, or was refused. Keeps trying; rejects only when
   * the signal is aborted.
   */
  async relist(): Promise<void> {
    await this.#lists.run();
  }

  async #listUntilDone(): Promise<void> {
    const { signal } = this.#options;
    this.#options.metrics?.count('informerLists', {
      resource: this.#options.name,
      cause: this.#listCause ?? 'requested',
    });
    for (;;) {
      if (signal.aborted) throw abortReason(signal);
      try {
        await this.#list();
        this.#refusal = undefined;
        return;
      } catch (error) {
        if (this.#isRefusal(error)) {
          this.#refuse(error);
          return;
        }
        await this.#pause(error, 'listing');
      }
    }
  }

  /**
   * With a namespace go the rights in it. That is an answer, and nobody must wait for another one; `run` keeps asking,
   * and when the namespace and its rights come back, so does everything in it.
   */
  #refuse(error: KubeError): void {
    this.#refusal = error;
    this.#listCause = 'refused';
    this.#watching?.stop(error);
    this.#heard();
    this.#firstList.resolve(undefined);
  }

  #isRefusal(error: unknown): error is KubeError {
    return isForbidden(error) && error.status !== undefined && this.#scope !== undefined;
  }

  async #list(rewound = false): Promise<void> {
    const { store, logger } = this.#options;
    const known = store.completeUpTo(this.#scope);
    const { items, version } = await this.#readAll(rewound);
    // A consistent list cannot be older than what was seen before it began, unless the server itself was set back.
    // Nothing of what is stored can be trusted then, whatever its version.
    if (!rewound && known !== undefined && compareVersions(version, known) < 0) {
      logger?.warn(this.#fields({ version, known }), 'the server went back in time');
      await this.#list(true);
      return;
    }
    store.replaceAll(items, version, { scope: this.#scope, rewound });
    this.#firstList.resolve(undefined);
  }

  async #readAll(rewound: boolean): Promise<CompleteList<T>> {
    const { api, resource, pageSize, signal, clock, logger } = this.#options;
    const keep = (item: T): T => (rewound ? undefined : this.#stored(item)) ?? this.#slim(item);
    const options = { api, resource, selection: this.#selection, keep };
    if (this.#streams) {
      const guard = new SilenceGuard(clock, listSilenceMs, signal);
      const onProgress = (): void => {
        guard.heard();
        this.#heard();
      };
      try {
        const list = await streamedList({ ...options, onProgress, signal: guard.signal });
        if (list !== undefined) return list;
        this.#streams = false;
        logger?.info(this.#fields({}), 'the server does not stream lists; they come in pages');
      } catch (error) {
        if (signal.aborted || !(guard.wasSilent || mayComeInPages(error))) throw error;
        logger?.warn(this.#fields({ err: error }), 'a streamed list failed; it is tried in pages');
      } finally {
        guard.end();
      }
    }
    return await pagedList({ ...options, onProgress: () => this.#heard(), signal }, pageSize);
  }

  /** One watch, until it ends. Throws unless it ended in its time. */
  async #watch(): Promise<void> {
    const { api, resource, store, clock, random, signal, silenceMs } = this.#options;
    const timeoutSeconds = Math.round(watchSeconds.min + random() * (watchSeconds.max - watchSeconds.min));
    const resourceVersion = store.completeUpTo(this.#scope) ?? '';
    const guard = new SilenceGuard(clock, silenceMs, signal);
    this.#watching = guard;
    this.#heard();
    const started = clock.monotonic();
    let events = 0;
    try {
      const options = { ...this.#selection, resourceVersion, timeoutSeconds, signal: guard.signal };
      for await (const event of api.watch(resource, options)) {
        guard.heard();
        this.#heard();
        events++;
        if (event.type === 'BOOKMARK') store.advance(event.object.metadata.resourceVersion, this.#scope);
        else if (event.type === 'ERROR') {
          this.#listCause = 'broken';
          throw errorFromStatus(`watch of ${this.#options.name}`, event.object);
        } else store.applyWatch(event.type, this.#slim(event.object));
      }
    } catch (error) {
      if (guard.wasSilent) this.#listCause = 'silent';
      else if (error instanceof KubeError && error.reason === 'InvalidAnswer') this.#listCause = 'broken';
      throw error;
    } finally {
      guard.end();
      this.#watching = undefined;
    }
    if (events === 0 && clock.monotonic() - started < shortestWatchMs) throw new Error('the watch ended at once');
  }

  get #selection(): Selection {
    const { labelSelector, fieldSelector } = this.#options;
    return { namespace: this.#scope, labelSelector, fieldSelector };
  }

  /** Waits before the next try; rejects when the signal is aborted. */
  async #pause(error: unknown, doing: 'listing' | 'watching'): Promise<void> {
    const { clock, signal, logger, metrics, name } = this.#options;
    if (signal.aborted) throw abortReason(signal);
    metrics?.count('informerFailures', { resource: name });
    const asked = error instanceof KubeError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    const delayMs = Math.max(this.#backoff.next(), Math.min(asked, longestRetryAfterMs));
    const fields = this.#fields({ err: error, delayMs: Math.round(delayMs) });
    // That a version expires is the normal end of a long silence.
    if (isGone(error)) logger?.info(fields, `${doing} begins anew`);
    else logger?.warn(fields, `${doing} failed; it will be tried again`);
    await sleep(clock, delayMs, signal);
  }

  /** The stored object, if it is this very version of it: listing again must not hold everything twice. */
  #stored(item: T): T | undefined {
    const stored = this.#options.store.get(keyOf(item));
    const same =
      stored?.metadata.uid === item.metadata.uid && stored.metadata.resourceVersion === item.metadata.resourceVersion;
    return same ? stored : undefined;
  }

  /** One object that the transform cannot take must not keep all others from being seen. */
  #slim(object: T): T {
    try {
      return this.#options.transform(object);
    } catch (error) {
      this.#options.logger?.error(this.#fields({ err: error, uid: object.metadata.uid }), 'the transform failed');
      return object;
    }
  }

  #heard(): void {
    this.#lastActivity = this.#options.clock.monotonic();
  }

  #fields(more: object): object {
    return { resource: this.#options.name, namespace: this.#scope, ...more };
  }
}
