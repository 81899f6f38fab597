import type { KubeApi, Selection } from './api.ts';
import { Backoff } from './backoff.ts';
import { abortReason, sleep, type Clock } from './clock.ts';
import { errorFromStatus, isGone, KubeError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './objects.ts';
import { compareVersions } from './resource-version.ts';
import type { Resource } from './resources.ts';
import { SharedRun } from './shared-run.ts';
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

/** A server that asks for more patience than this does not know how long it will take. */
const longestRetryAfterMs = 60_000;

/**
 * Why everything is listed: at the start, the watch's version expired, it sent what cannot be used, or it fell silent.
 */
type ListCause = 'initial' | 'expired' | 'broken' | 'silent';

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
 *   server's future (a restored backup), so list.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #scope: string | undefined;
  readonly #backoff: Backoff;
  readonly #lists: SharedRun;
  /** Why a list is due; undefined while the watch can go on from where the store is. */
  #listCause: ListCause | undefined = 'initial';
  #lastActivity: number;
  readonly #firstList = Promise.withResolvers<undefined>();

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#scope = options.namespace;
    this.#backoff = new Backoff(backoff, options.clock, options.random);
    this.#lists = new SharedRun(() => this.#listUntilDone());
    this.#lastActivity = options.clock.monotonic();
    this.#firstList.promise.catch(() => undefined); // nobody need be waiting
  }

  /** Resolves when everything has been listed once; rejects when the reflector is stopped before. */
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
          this.#count(this.#listCause);
          await this.#lists.run();
          this.#listCause = undefined;
        }
        await this.#watch();
      } catch (error) {
        if (isGone(error)) this.#listCause = 'expired';
        await this.#pause(error, 'watching').catch(() => undefined);
      }
    }
    this.#firstList.reject(abortReason(signal));
  }

  /**
   * Resolves when a list that started after this call is in the store. Keeps trying; rejects only when the signal is
   * aborted.
   */
  async relist(): Promise<void> {
    this.#count('requested');
    await this.#lists.run();
  }

  async #listUntilDone(): Promise<void> {
    const { pageSize, signal } = this.#options;
    for (;;) {
      if (signal.aborted) throw abortReason(signal);
      try {
        await this.#list(pageSize);
        return;
      } catch (error) {
        await this.#pause(error, 'listing');
      }
    }
  }

  /** Lists the newest state: no resource version in the request makes it a consistent read. */
  async #list(limit: number | undefined): Promise<void> {
    const { api, resource, store, signal, labelSelector, fieldSelector } = this.#options;
    const known = store.completeUpTo(this.#scope);
    const selection = { namespace: this.#scope, labelSelector, fieldSelector };
    const items: T[] = [];
    let version: string | undefined;
    let next: string | undefined;
    let rewound = false;
    do {
      try {
        const page = await api.list(resource, { ...selection, limit, continue: next, signal });
        version ??= page.resourceVersion;
        // A consistent list cannot be older than what was seen before it began, unless the server itself was set back.
        rewound = known !== undefined && compareVersions(version, known) < 0;
        // Slimmed at once: whole objects may not fit in memory together.
        for (const item of page.items) items.push((rewound ? undefined : this.#stored(item)) ?? this.#slim(item));
        next = page.continue;
      } catch (error) {
        // The pages took longer than the server keeps history. As client-go does, take all in one answer rather than
        // never finish.
        if (next !== undefined && isGone(error)) {
          await this.#list(undefined);
          return;
        }
        throw error;
      }
      this.#heard();
    } while (next !== undefined);
    if (rewound) this.#options.logger?.warn(this.#fields({ version, known }), 'the server went back in time');
    store.replaceAll(items, version, { scope: this.#scope, rewound });
    this.#firstList.resolve(undefined);
  }

  /** One watch, until it ends. Throws unless it ended in its time. */
  async #watch(): Promise<void> {
    const { api, resource, store, clock, random, signal, labelSelector, fieldSelector } = this.#options;
    const timeoutSeconds = Math.round(watchSeconds.min + random() * (watchSeconds.max - watchSeconds.min));
    const resourceVersion = store.completeUpTo(this.#scope) ?? '';
    const selection = { namespace: this.#scope, labelSelector, fieldSelector };
    const watch = new AbortController();
    const stop = (): void => watch.abort(abortReason(signal));
    signal.addEventListener('abort', stop, { once: true });
    const stopListening = this.#listenForSilence(() => {
      this.#listCause = 'silent';
      watch.abort(new Error(`the watch was silent for ${this.#options.silenceMs} ms`));
    });
    const started = clock.monotonic();
    let events = 0;
    try {
      const options = { ...selection, resourceVersion, timeoutSeconds, signal: watch.signal };
      for await (const event of api.watch(resource, options)) {
        this.#heard();
        events++;
        if (event.type === 'BOOKMARK') store.advance(event.object.metadata.resourceVersion, this.#scope);
        else if (event.type === 'ERROR') {
          this.#listCause = 'broken';
          throw errorFromStatus(`watch of ${this.#options.name}`, event.object);
        } else store.applyWatch(event.type, this.#slim(event.object));
      }
    } catch (error) {
      if (error instanceof KubeError && error.reason === 'InvalidAnswer') this.#listCause = 'broken';
      throw error;
    } finally {
      stopListening();
      signal.removeEventListener('abort', stop);
    }
    if (events === 0 && clock.monotonic() - started < shortestWatchMs) throw new Error('the watch ended at once');
  }

  /** Calls `onSilence` once nothing has been heard for too long. One timer, set anew only when it fires. */
  #listenForSilence(onSilence: () => void): () => void {
    const { clock, silenceMs } = this.#options;
    const check = (): void => {
      const left = this.#lastActivity + silenceMs - clock.monotonic();
      if (left <= 0) onSilence();
      else timer = clock.setTimeout(check, left);
    };
    this.#heard();
    let timer = clock.setTimeout(check, silenceMs);
    return () => timer.cancel();
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

  #count(cause: ListCause | 'requested'): void {
    this.#options.metrics?.count('informerLists', { resource: this.#options.name, cause });
  }

  #fields(more: object): object {
    return { resource: this.#options.name, namespace: this.#scope, ...more };
  }
}
