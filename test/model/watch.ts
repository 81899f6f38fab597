import type { WatchEvent, WatchOptions } from '../../src/kube/api.ts';
import { abortReason, type Clock, type Timer } from '../../src/kube/clock.ts';
import { clientError } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import type { Resource } from '../../src/kube/resources.ts';
import type { ApiServer, Commit } from './api-server.ts';
import type { Network } from './network.ts';
import type { Process } from './process.ts';
import { matches } from './selectors.ts';

const BOOKMARK_EVERY_MS = 60_000;

interface WatchDeps {
  server: ApiServer;
  process: Process;
  network: Network;
  clock: Clock;
}

type Delivery<T extends KubeObject> = { event: WatchEvent<T> } | { end: Error | undefined };

/** A watch whose events are under way for as long as the network says, in order. */
export async function* openWatch<T extends KubeObject>(
  deps: WatchDeps,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const stream = new WatchStream<T>(deps, resource, options);
  try {
    for (;;) {
      const delivery = await stream.next();
      if ('event' in delivery) yield delivery.event;
      else if (delivery.end === undefined) return;
      else throw delivery.end;
    }
  } finally {
    stream.close();
  }
}

class WatchStream<T extends KubeObject> {
  readonly #deps: WatchDeps;
  readonly #resource: Resource<T>;
  readonly #options: WatchOptions;
  /** Under way: in order of arrival. */
  #underWay: { at: number; delivery: Delivery<T> }[] = [];
  /** Arrived, and not yet taken. */
  readonly #arrived: Delivery<T>[] = [];
  #taker: ((delivery: Delivery<T>) => void) | undefined;
  #closed = false;
  #stalled = false;
  readonly #closers: (() => void)[] = [];
  readonly #timers = new Set<Timer>();

  constructor(deps: WatchDeps, resource: Resource<T>, options: WatchOptions) {
    this.#deps = deps;
    this.#resource = resource;
    this.#options = options;
    const [there] = deps.network.latency();
    this.#later(there, () => this.#open());
    const lost = clientError(`watch ${resource.plural}`, 'ConnectionLost', 'unknown');
    this.#closers.push(
      deps.network.watching({
        plural: resource.plural,
        break: () => deps.process.enter(() => this.#arrive({ end: lost })),
        stall: () => (this.#stalled = true),
        close: () => this.close(),
      }),
    );
    const onAbort = (): void => this.#arrive({ end: abortReason(options.signal) });
    options.signal.addEventListener('abort', onAbort, { once: true });
    this.#closers.push(() => options.signal.removeEventListener('abort', onAbort));
  }

  next(): Promise<Delivery<T>> {
    const delivery = this.#arrived.shift();
    if (delivery !== undefined) return Promise.resolve(delivery);
    return new Promise((resolve) => (this.#taker = resolve));
  }

  close(): void {
    this.#closed = true;
    this.#underWay = [];
    for (const close of this.#closers) close();
    for (const timer of this.#timers) timer.cancel();
  }

  #open(): void {
    const { server } = this.#deps;
    try {
      const { commits, from } = server.since(this.#resource, this.#options.resourceVersion);
      for (const commit of commits.slice(from)) this.#send(commit);
    } catch (error) {
      this.#deps.process.enter(() => this.#arrive({ end: error as Error }));
      return;
    }
    this.#closers.push(server.subscribe((commit) => this.#send(commit)));
    this.#later(BOOKMARK_EVERY_MS, () => this.#bookmark());
    this.#later((this.#options.timeoutSeconds ?? 300) * 1000, () => this.#dispatch({ end: undefined }));
  }

  #send(commit: Commit): void {
    if (commit.resource.plural !== this.#resource.plural) return;
    const before = commit.old !== undefined && matches(commit.old, this.#options);
    const after = commit.type !== 'DELETED' && matches(commit.object, this.#options);
    if (!before && !after) return;
    const type = !before ? 'ADDED' : after ? 'MODIFIED' : 'DELETED';
    this.#dispatch({ event: { type, object: commit.object as T } });
  }

  #bookmark(): void {
    const { version } = this.#deps.server;
    this.#dispatch({ event: { type: 'BOOKMARK', object: { metadata: { resourceVersion: version } } } });
    this.#later(BOOKMARK_EVERY_MS, () => this.#bookmark());
  }

  #dispatch(delivery: Delivery<T>): void {
    if (this.#closed || this.#stalled) return;
    const { clock, network } = this.#deps;
    const last = this.#underWay.at(-1)?.at ?? 0;
    const at = Math.max(last, clock.monotonic() + network.lagOf(this.#resource.plural));
    this.#underWay.push({ at, delivery });
    // One timer for all that arrive at one time.
    if (at !== last) this.#later(at - clock.monotonic(), () => this.#deps.process.enter(() => this.#arriveUntil(at)));
  }

  #arriveUntil(time: number): void {
    for (let next = this.#underWay[0]; next !== undefined && next.at <= time; next = this.#underWay[0]) {
      this.#underWay.shift();
      this.#arrive(next.delivery);
    }
  }

  #arrive(delivery: Delivery<T>): void {
    if (this.#closed) return;
    const taker = this.#taker;
    this.#taker = undefined;
    if (taker === undefined) this.#arrived.push(delivery);
    else taker(delivery);
  }

  #later(ms: number, fn: () => void): void {
    const timer = this.#deps.clock.setTimeout(() => {
      this.#timers.delete(timer);
      fn();
    }, ms);
    this.#timers.add(timer);
  }
}
