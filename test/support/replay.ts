import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '../../src/api/session.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { Api, ApiError, readApiAccess } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';

/** What happened to one object, at one revision of the cluster. */
export type Change = { version: number; type: 'ADDED' | 'MODIFIED' | 'DELETED' } & (
  { kind: 'Pod'; object: Pod } | { kind: 'Session'; object: Session }
);

type Kind = Change['kind'];

const paths: Record<Kind, (namespace: string) => string> = {
  Pod: (namespace) => `/api/v1/namespaces/${namespace}/pods`,
  Session: (namespace) => `/apis/bullpen.dev/v1alpha1/namespaces/${namespace}/sessions`,
};

/** How long the end of a record is waited for. */
const PATIENCE_MS = 30_000;

/**
 * Records everything that happens to the pods and Sessions of a namespace, complete and in the order in which etcd did
 * it, so that a test can look at every revision there ever was rather than at samples. It shares no code with what is
 * tested, and outlives restarts of the API server.
 */
export class Recorder {
  readonly #api: Api;
  readonly #tapes: readonly Tape[];

  private constructor(api: Api, tapes: readonly Tape[]) {
    this.#api = api;
    this.#tapes = tapes;
  }

  static async start(cluster: Cluster, namespace: string): Promise<Recorder> {
    const api = new Api(await readApiAccess(cluster.kubeconfig), 'bullpen-recorder');
    const kinds: Kind[] = ['Pod', 'Session'];
    return new Recorder(api, await Promise.all(kinds.map((kind) => Tape.start(api, kind, namespace))));
  }

  /** Everything up to now. Rejects when the record has a gap that cannot be filled. */
  async changes(): Promise<Change[]> {
    await Promise.all(this.#tapes.map((tape) => tape.catchUp()));
    return this.#tapes.flatMap((tape) => tape.changes).sort((a, b) => a.version - b.version);
  }

  async close(): Promise<void> {
    for (const tape of this.#tapes) tape.stop();
    await this.#api.close();
  }
}

interface Listed {
  metadata: { resourceVersion: string };
  items: (Pod | Session)[];
}

/** The record of one resource. */
class Tape {
  readonly changes: Change[] = [];
  readonly #api: Api;
  readonly #kind: Kind;
  readonly #path: string;
  readonly #abort = new AbortController();
  /** What there is at `#version`, by uid. */
  readonly #state = new Map<string, Change>();
  #version = 0;
  #failure: Error | undefined;
  #wake = (): void => undefined;

  private constructor(api: Api, kind: Kind, namespace: string) {
    this.#api = api;
    this.#kind = kind;
    this.#path = paths[kind](namespace);
  }

  static async start(api: Api, kind: Kind, namespace: string): Promise<Tape> {
    const tape = new Tape(api, kind, namespace);
    const list = await tape.#list();
    for (const object of list.items) tape.#note('ADDED', object);
    tape.#version = Number(list.metadata.resourceVersion);
    void tape.#run();
    return tape;
  }

  stop(): void {
    this.#abort.abort();
  }

  /** Resolves when the record shows everything that there is now. */
  async catchUp(): Promise<void> {
    const list = await this.#list();
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    deadline.addEventListener('abort', () => this.#wake());
    while (!this.#shows(list)) {
      if (this.#failure !== undefined) throw this.#failure;
      if (deadline.aborted)
        throw new Error(`the record of ${this.#path} did not come to ${list.metadata.resourceVersion}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Whether what was recorded leads to this list, or beyond it. */
  #shows({ items, metadata: { resourceVersion } }: Listed): boolean {
    const listed = new Set(items.map(({ metadata }) => metadata.uid));
    const extra = [...this.#state.values()].some(
      ({ object, version }) => !listed.has(object.metadata.uid) && version <= Number(resourceVersion),
    );
    const last = new Map(this.changes.map((change) => [change.object.metadata.uid, change.version]));
    return !extra && items.every(({ metadata }) => (last.get(metadata.uid) ?? 0) >= Number(metadata.resourceVersion));
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        await this.#watch();
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        if (error instanceof ApiError && error.status === 410) {
          this.#failure = error;
          this.#wake();
          return;
        }
        await sleep(100); // The API server is away.
      }
    }
  }

  async #watch(): Promise<void> {
    const path = `${this.#path}?watch=1&resourceVersion=${this.#version}`;
    interface Event {
      type: Change['type'] | 'ERROR';
      object: Pod | Session;
    }
    try {
      for await (const { type, object } of this.#api.lines<Event>(path, this.#abort.signal)) {
        if (type === 'ERROR') throw new ApiError(path, (object as unknown as { code: number }).code, '');
        this.#note(type, object);
      }
    } catch (error) {
      // A server that was started anew does not remember; etcd does.
      if (!(error instanceof ApiError && error.status === 410)) throw error;
      await this.#fillGap();
    }
  }

  /** Reads the state at every single revision that no watch can show any more. Throws 410 when etcd has forgotten what matters. */
  async #fillGap(): Promise<void> {
    const { metadata } = await this.#list();
    let forgotten: ApiError | undefined;
    for (let version = this.#version + 1; version <= Number(metadata.resourceVersion); version++) {
      try {
        const at = `${this.#path}?resourceVersionMatch=Exact&resourceVersion=${version}`;
        const { items } = await this.#list(at);
        // etcd was compacted up to here: harmless if nothing has happened since.
        if (forgotten !== undefined && !this.#isExactly(items)) throw forgotten;
        forgotten = undefined;
        this.#noteDifference(items, version);
      } catch (error) {
        if (error === forgotten || !(error instanceof ApiError && error.status === 410)) throw error;
        forgotten = error;
      }
      this.#version = version;
    }
    if (forgotten !== undefined) throw forgotten;
  }

  #isExactly(items: Listed['items']): boolean {
    const same = ({ metadata }: Pod | Session): boolean =>
      this.#state.get(metadata.uid)?.version === Number(metadata.resourceVersion);
    return items.length === this.#state.size && items.every(same);
  }

  #noteDifference(items: Listed['items'], version: number): void {
    const there = new Set(items.map((item) => item.metadata.uid));
    for (const { object } of [...this.#state.values()])
      if (!there.has(object.metadata.uid)) this.#note('DELETED', object, version);
    for (const item of items)
      if (Number(item.metadata.resourceVersion) === version)
        this.#note(this.#state.has(item.metadata.uid) ? 'MODIFIED' : 'ADDED', item);
  }

  /** The API server may be away, or not quite there yet. */
  async #list(path = this.#path): Promise<Listed> {
    const giveUpAt = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.#api.call<Listed>('GET', path);
      } catch (error) {
        if (Date.now() > giveUpAt || (error instanceof ApiError && error.status === 410)) throw error;
        await sleep(100);
      }
    }
  }

  #note(type: Change['type'], object: Pod | Session, version = Number(object.metadata.resourceVersion)): void {
    const change = { version, type, kind: this.#kind, object } as Change;
    this.changes.push(change);
    this.#version = version;
    if (type === 'DELETED') this.#state.delete(object.metadata.uid);
    else this.#state.set(object.metadata.uid, change);
    this.#wake();
  }
}
