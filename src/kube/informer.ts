import type { KubeApi } from './api.ts';
import { abortable, type Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './objects.ts';
import { Reflector } from './reflector.ts';
import type { Resource } from './resources.ts';
import { Store } from './store.ts';

export interface InformerOptions<T extends KubeObject> {
  api: KubeApi;
  resource: Resource<T>;
  /** Label of metrics and logs. Default: the resource's plural. */
  name?: string | undefined;
  /** Listed and watched each by itself, so that rights in these namespaces are enough. All namespaces when left out. */
  namespaces?: readonly string[] | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Leaves out what nobody reads, to save memory. Must return a new object rather than change its argument. */
  transform?: ((object: T) => T) | undefined;
  /** By name: the values under which `store.byIndex` finds an object. Must be pure. */
  indexes?: Record<string, (object: T) => readonly string[]> | undefined;
  /** Objects per answer of a list, where the server does not stream it. Default 500. */
  pageSize?: number | undefined;
  /** A watch that says nothing for so long is dead. Default 150 s: the server sends a bookmark every minute. */
  silenceMs?: number | undefined;
  clock: Clock;
  random: () => number;
  logger?: Logger | undefined;
  metrics?: KubeMetrics | undefined;
}

/**
 * A {@link Store} that is kept as the server has it. It never gives up: it comes back from every failure, and
 * `lastActivityAgeSeconds` shows how long the server has been silent.
 */
export class Informer<T extends KubeObject> {
  readonly store: Store<T>;
  readonly #options: InformerOptions<T>;
  #reflectors: Reflector<T>[] | undefined;

  constructor(options: InformerOptions<T>) {
    const { namespaces, indexes, transform, logger, resource } = options;
    this.#options = options;
    this.store = new Store<T>({
      namespaces,
      indexes,
      transform,
      onListenerError: (error) =>
        logger?.error({ err: error, resource: resource.plural }, 'a store listener or index failed'),
    });
  }

  /** Begins to list and watch, until the signal is aborted. Does nothing when it has begun. */
  start(signal: AbortSignal): void {
    if (this.#reflectors !== undefined) return;
    const { namespaces = [undefined], resource, metrics } = this.#options;
    const { transform = (object: T) => object, pageSize = 500, silenceMs = 150_000 } = this.#options;
    const name = this.#options.name ?? resource.plural;
    const common = { ...this.#options, store: this.store, name, transform, pageSize, silenceMs, signal };
    this.#reflectors = namespaces.map((namespace) => new Reflector<T>({ ...common, namespace }));
    for (const reflector of this.#reflectors) void reflector.run();

    const labels = { resource: name };
    const stopSampling = [
      metrics?.sample('informerAge', labels, () => this.lastActivityAgeSeconds),
      metrics?.sample('informerObjects', labels, () => this.store.size),
      metrics?.sample('informerRefused', labels, () => this.refusedNamespaces.length),
    ];
    signal.addEventListener('abort', () => stopSampling.forEach((stop) => stop?.()), { once: true });
  }

  /**
   * Whether every namespace has been listed once or is refused: the store shows all that may be seen. Where all of them
   * are refused there is nothing to be seen, and more likely rights that nobody has given.
   */
  get hasSynced(): boolean {
    const { namespaces = [undefined] } = this.#options;
    const refused = this.refusedNamespaces;
    if (refused.length === namespaces.length) return false;
    return namespaces.every(
      (namespace) => this.store.completeUpTo(namespace) !== undefined || (namespace && refused.includes(namespace)),
    );
  }

  /**
   * Namespaces that the server refuses to list, as it does once they are deleted and the rights in them with them. What
   * the store shows of them may be old: decide nothing there.
   */
  get refusedNamespaces(): string[] {
    const reflectors = this.#reflectors ?? [];
    return reflectors.map(({ refusedNamespace }) => refusedNamespace).filter((namespace) => namespace !== undefined);
  }

  /**
   * Resolves as soon as {@link hasSynced}; rejects when the signal is aborted first, or when the informer is stopped.
   */
  async whenSynced(signal: AbortSignal): Promise<void> {
    await abortable(Promise.all(this.#started().map((reflector) => reflector.firstList)), signal);
  }

  /**
   * Resolves when the store is at least as new as the server was at this moment, by a consistent list that starts now
   * or later, or refuses to tell ({@link refusedNamespaces}). Calls share lists; one right after `start` shares the first. While the server is away it keeps trying; it rejects only when the informer is
   * stopped.
   */
  async relist(): Promise<void> {
    await Promise.all(this.#started().map((reflector) => reflector.relist()));
  }

  /** How long the server has said nothing, seconds; of several namespaces the longest. */
  get lastActivityAgeSeconds(): number {
    const now = this.#options.clock.monotonic();
    return Math.max(0, ...(this.#reflectors ?? []).map((reflector) => now - reflector.lastActivity)) / 1000;
  }

  #started(): Reflector<T>[] {
    if (this.#reflectors === undefined) throw new Error('the informer is not started');
    return this.#reflectors;
  }
}
