import type { Session, SessionStatus } from '../../../api/session.ts';
import { EPOCH, makeAgent, NAMESPACE } from '../../../api/testing/objects.ts';
import type { CallOptions, DeleteOptions, KubeApi } from '../../../kube/api.ts';
import { abortReason } from '../../../kube/clock.ts';
import { errorFromAnswer } from '../../../kube/errors.ts';
import type { KubeObject, NewObject, ObjectMeta } from '../../../kube/objects.ts';
import type { ObjectRef, Resource } from '../../../kube/resources.ts';
import { Store } from '../../../kube/store.ts';
import { FakeClock } from '../../../kube/testing/fake-clock.ts';
import { isFinished } from '../../../api/session-phase.ts';
import { agentKeyOf, INDEX } from '../../caches.ts';
import { BodyCarrier } from '../body-carrier.ts';
import { deadlineOf } from '../deadline.ts';
import { retryOf } from '../idempotency.ts';
import { SessionChanges } from '../session-changes.ts';
import { SessionStarter } from '../session-starter.ts';
import { SessionWriter } from '../session-writer.ts';
import type { Started, StartOrder } from '../start-order.ts';

/** How long a caller of these tests waits. */
export const PATIENCE_MS = 30_000;

/** What the status of a Session says once it has a pod. */
export const WITH_POD: SessionStatus = {
  phase: 'Starting',
  podUID: 'pod',
  admittedAt: '2026-01-01T00:00:00Z',
  startKind: 'Warm',
};

/** An API server with Sessions and Secrets, as far as starts need it; replicas of the gateway see it through caches that may be behind. */
export class StartBed {
  readonly clock = new FakeClock(EPOCH);
  readonly agent = makeAgent({ scaling: { minAgents: 0, maxAgents: 10 } });
  /** What has been asked, such as `create sessions`. */
  readonly calls: string[] = [];
  /** Runs before a call is carried out; what it throws is the answer. */
  before: (call: string) => void | Promise<void> = () => undefined;
  /** Runs after a call was carried out; what it throws is the answer. */
  after: (call: string) => void = () => undefined;
  readonly #objects = new Map<string, KubeObject>();
  readonly #replicas: Replica[] = [];
  #version = 0;

  readonly api = {
    get: async (resource: Resource, ref: ObjectRef, options: CallOptions = {}) =>
      await this.#call(`get ${resource.plural}`, options, () => this.#need(resource.plural, ref.name)),
    create: async (resource: Resource, _namespace: string, wanted: NewObject<KubeObject>) =>
      await this.#call(`create ${resource.plural}`, {}, () => this.#create(resource.plural, wanted)),
    delete: async (resource: Resource, ref: ObjectRef, options: DeleteOptions = {}) =>
      await this.#call(`delete ${resource.plural}`, options, () => this.#delete(resource.plural, ref.name, options)),
  } as unknown as KubeApi;

  replica(): Replica {
    const replica = new Replica(this);
    this.#replicas.push(replica);
    return replica;
  }

  get sessions(): Session[] {
    return [...this.#objects.entries()].filter(([key]) => key.startsWith('sessions/')).map(([, it]) => it as Session);
  }

  /** The only Session that there is. */
  get session(): Session {
    const [only, ...more] = this.sessions;
    if (only === undefined || more.length > 0) throw new Error(`there are ${this.sessions.length} Sessions`);
    return only;
  }

  /** The controller decides. */
  decide(session: Session, status: SessionStatus): void {
    this.#change('sessions', session.metadata.name, { status });
  }

  annotate(session: Session, metadata: Partial<ObjectMeta>): void {
    this.#change('sessions', session.metadata.name, { metadata: { ...session.metadata, ...metadata } });
  }

  remove(session: Session): void {
    this.#delete('sessions', session.metadata.name, {});
  }

  async #call<T>(call: string, { signal }: CallOptions, act: () => T): Promise<T> {
    this.calls.push(call);
    await this.before(call);
    if (signal?.aborted === true) throw abortReason(signal);
    const answer = act();
    this.after(call);
    return answer;
  }

  #need(plural: string, name: string): KubeObject {
    const found = this.#objects.get(`${plural}/${name}`);
    if (found === undefined) throw refusal(404, 'NotFound');
    return found;
  }

  #create(plural: string, wanted: NewObject<KubeObject>): KubeObject {
    const { name = '' } = wanted.metadata;
    if (this.#objects.has(`${plural}/${name}`)) throw refusal(409, 'AlreadyExists');
    const metadata = { ...wanted.metadata, name, namespace: NAMESPACE, uid: `uid-${this.#version}` };
    const creationTimestamp = new Date(this.clock.now()).toISOString();
    return this.#put(plural, { ...wanted, metadata: { ...metadata, creationTimestamp, resourceVersion: '' } });
  }

  #change(plural: string, name: string, change: object): void {
    this.#put(plural, { ...this.#need(plural, name), ...change });
  }

  #put(plural: string, object: KubeObject): KubeObject {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: this.#next() } };
    this.#objects.set(`${plural}/${object.metadata.name}`, stored);
    if (plural === 'sessions') for (const replica of this.#replicas) replica.hear('MODIFIED', stored as Session);
    return stored;
  }

  #delete(plural: string, name: string, { uid, resourceVersion }: DeleteOptions): undefined {
    const { metadata, ...rest } = this.#need(plural, name);
    if (uid !== undefined && uid !== metadata.uid) throw refusal(409, 'Conflict');
    if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) throw refusal(409, 'Conflict');
    if ((metadata.finalizers ?? []).length > 0) {
      this.#put(plural, { ...rest, metadata: { ...metadata, deletionTimestamp: metadata.creationTimestamp } });
      return;
    }
    this.#objects.delete(`${plural}/${name}`);
    const gone = { ...rest, metadata: { ...metadata, resourceVersion: this.#next() } };
    if (plural === 'sessions') for (const replica of this.#replicas) replica.hear('DELETED', gone as Session);
  }

  #next(): string {
    return String((this.#version += 1));
  }
}

/** A gateway, as far as it starts sessions. */
export class Replica {
  readonly starter: SessionStarter;
  readonly #bed: StartBed;
  readonly #store: Store<Session>;
  /** What its cache is yet to see; undefined while it sees all at once. */
  #missed: (() => void)[] | undefined;

  constructor(bed: StartBed) {
    this.#bed = bed;
    const { api, clock } = bed;
    this.#store = new Store({
      indexes: {
        [INDEX.openByAgent]: (session) => (isFinished(session) ? [] : [agentKeyOf(session)]),
        [INDEX.uid]: ({ metadata }) => [metadata.uid],
      },
    });
    const silent = (): void => undefined;
    const logger = { debug: silent, info: silent, warn: silent, error: silent };
    const ending = new AbortController().signal;
    const changes = new SessionChanges(this.#store);
    const carrier = new BodyCarrier({ api, changes, key: () => undefined, logger });
    const writer = new SessionWriter({ api, clock, logger, ending });
    this.starter = new SessionStarter({ api, sessions: this.#store, changes, carrier, writer, clock, ending });
  }

  hear(type: 'MODIFIED' | 'DELETED', session: Session): void {
    if (this.#missed === undefined) this.#store.applyWatch(type, session);
    else this.#missed.push(() => this.#store.applyWatch(type, session));
  }

  fallBehind(): void {
    this.#missed ??= [];
  }

  catchUp(): void {
    const missed = this.#missed ?? [];
    this.#missed = undefined;
    for (const see of missed) see();
  }

  /** Asks for a session; resolves with the answer or with the refusal. */
  async ask({
    key,
    signal = new AbortController().signal,
    ...order
  }: Partial<StartOrder> & { key?: string; signal?: AbortSignal } = {}): Promise<Partial<Started> & { kind?: string }> {
    const { agent, clock } = this.#bed;
    const scope = { namespace: NAMESPACE, agent: agent.metadata.name, key: key ?? '' };
    const retry = key === undefined ? undefined : retryOf(scope, '{}', [{ kid: 'k', secret: Buffer.alloc(32) }]);
    const deadline = deadlineOf(clock, { until: clock.now() + PATIENCE_MS, signal });
    const tell = (): Promise<{ headers: object; body: Buffer }> =>
      Promise.resolve({ headers: {}, body: Buffer.alloc(0) });
    const started = this.starter.start({
      agent,
      name: `start-${String(this.#bed.calls.length)}`,
      checkReady: () => undefined,
      tell: tell,
      deadline,
      retry,
      ...order,
    });
    return await started.catch((error: unknown) => error as { kind?: string }).finally(() => deadline.cancel());
  }
}

/** An answer of the API server's that says no. */
export function refusal(code: number, reason: string): Error {
  return errorFromAnswer('call', code, JSON.stringify({ kind: 'Status', reason }), undefined);
}
