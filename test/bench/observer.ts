import { labels } from '../../src/api/names.ts';
import type { Bed } from './bed.ts';
import { currentVersion, follow, type Named } from './follow.ts';

/** When this process saw what became of a Session, in milliseconds of `performance.now()`. */
export interface Sightings {
  session?: number;
  pod?: number;
  running?: number;
  ended?: number;
}

/** Resolves when it has seen all that it waits for. */
interface Waiter {
  sight: keyof Sightings;
  missing: Set<string>;
  done: () => void;
}

/** Watches Sessions and their pods, as any caller may, and notes when each thing shows for the first time. */
export class Observer {
  readonly #abort = new AbortController();
  readonly #seen = new Map<string, Sightings>();
  readonly #last = new Map<string, Named>();
  readonly #waiters = new Set<Waiter>();
  readonly #broken = Promise.withResolvers<never>();
  #running: Promise<unknown> = Promise.resolve();

  /** @param options.pods whether it watches pods too: to read all their changes takes processor time from what is measured */
  static async start(bed: Bed, { pods: withPods = true } = {}): Promise<Observer> {
    const observer = new Observer();
    const { api, sessions, pods } = bed;
    const { signal } = observer.#abort;
    const watches = [
      follow(api, sessions, await currentVersion(api, sessions), signal, (session) => observer.#onSession(session)),
    ];
    if (withPods) {
      watches.push(follow(api, pods, await currentVersion(api, pods), signal, (pod) => observer.#onPod(pod)));
    }
    observer.#broken.promise.catch(() => undefined); // whoever waits looks at it
    observer.#running = Promise.all(watches).catch((error: unknown) => {
      if (!signal.aborted) observer.#broken.reject(new Error('a watch of the bench ended', { cause: error }));
    });
    return observer;
  }

  of(session: string): Sightings {
    return this.#seen.get(session) ?? {};
  }

  /** A Session as it was seen last. */
  last(session: string): Named | undefined {
    return this.#last.get(session);
  }

  /** Resolves when all of these Sessions have been seen so. Rejects after `timeoutMs` with how many are missing. */
  async all(sessions: readonly string[], sight: keyof Sightings, timeoutMs: number): Promise<void> {
    const missing = new Set(sessions.filter((name) => this.of(name)[sight] === undefined));
    if (missing.size === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter = { sight, missing, done: () => resolve(undefined) };
    const timer = setTimeout(
      () => reject(new Error(`${missing.size} of ${sessions.length} Sessions were not seen ${sight} in time`)),
      timeoutMs,
    );
    this.#waiters.add(waiter);
    try {
      await Promise.race([promise, this.#broken.promise]);
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  #onSession(session: Named): void {
    const { metadata, status } = session;
    this.#last.set(metadata.name, session);
    this.#note(metadata.name, 'session');
    const over = status?.phase === 'Ended' || status?.phase === 'Rejected';
    // A controller that is late records the end only: then Running shows no earlier than that.
    if (status?.phase === 'Running' || over) this.#note(metadata.name, 'running');
    if (over) this.#note(metadata.name, 'ended');
  }

  #onPod({ metadata }: Named): void {
    const session = metadata.labels?.[labels.session];
    if (session !== undefined) this.#note(session, 'pod');
  }

  #note(session: string, sight: keyof Sightings): void {
    const seen = this.#seen.get(session) ?? {};
    if (seen[sight] !== undefined) return;
    this.#seen.set(session, { ...seen, [sight]: performance.now() });
    for (const waiter of this.#waiters) {
      if (waiter.sight === sight && waiter.missing.delete(session) && waiter.missing.size === 0) waiter.done();
    }
  }
}
