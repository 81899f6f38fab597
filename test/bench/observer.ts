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

/** Watches Sessions and their pods, as any caller may, and notes when each thing shows for the first time. */
export class Observer {
  readonly #abort = new AbortController();
  readonly #seen = new Map<string, Sightings>();
  readonly #waiting = new Set<() => void>();
  #running: Promise<unknown> = Promise.resolve();
  #broken: Error | undefined;

  static async start(bed: Bed): Promise<Observer> {
    const observer = new Observer();
    const { api, sessions, pods } = bed;
    const { signal } = observer.#abort;
    observer.#running = Promise.all([
      follow(api, sessions, await currentVersion(api, sessions), signal, (session) => observer.#onSession(session)),
      follow(api, pods, await currentVersion(api, pods), signal, (pod) => observer.#onPod(pod)),
    ]).catch((error: unknown) => {
      if (observer.#abort.signal.aborted) return;
      observer.#broken = new Error('a watch of the bench ended', { cause: error });
      observer.#wake();
    });
    return observer;
  }

  of(session: string): Sightings {
    return this.#seen.get(session) ?? {};
  }

  /** Resolves when all of these Sessions have been seen so. Rejects after `timeoutMs` with how many are missing. */
  async all(sessions: readonly string[], sight: keyof Sightings, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const missing = (): number => sessions.filter((name) => this.of(name)[sight] === undefined).length;
    while (missing() > 0) {
      if (this.#broken !== undefined) throw this.#broken;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`${missing()} of ${sessions.length} Sessions were not seen ${sight} in time`);
      await this.#change(Math.min(left, 1000));
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** One change is as good as many: whoever waits looks at everything, a few times a second. */
  async #change(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        setTimeout(resolve, 50);
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiting.add(wake);
    });
  }

  #onSession({ metadata, status }: Named): void {
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
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
