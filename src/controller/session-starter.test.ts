import { beforeEach, describe, expect, it } from 'vitest';
import { agentSpec, type Agent } from '../api/agent.ts';
import type { Session, SessionStatus } from '../api/session.ts';
import type { JsonPatchOp, KubeApi } from '../kube/api.ts';
import { clientError, errorFromAnswer } from '../kube/errors.ts';
import type { NewObject, Node, Pod } from '../kube/objects.ts';
import type { ObjectRef } from '../kube/resources.ts';
import { Store } from '../kube/store.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { WARM_START_WINDOW_SECONDS } from '../pods/claim.ts';
import { sessionPodName } from '../pods/names.ts';
import { STRICT_POLICY } from '../pods/policy.ts';
import type { Start } from './agent-plan.ts';
import type { Serving } from './agent-state.ts';
import type { Announcer } from './announcer.ts';
import { podIndexes, sessionIndexes, type Caches } from './caches.ts';
import type { Deliverer } from './delivery/deliverer.ts';
import { PendingPods } from './pending-pods.ts';
import { PodBinder } from './pod-binder.ts';
import { PodFactory } from './pod-factory.ts';
import { SessionStarter } from './session-starter.ts';
import { makeHttpPod, makeWarmPod, REVISION } from './testing/http-objects.ts';
import { at, EPOCH, LIMITS, makeAgent, makeSession, NAMESPACE } from './testing/objects.ts';
import { Verdicts } from './verdicts.ts';

const KEY = `${NAMESPACE}/echo`;
const ADMITTED = new Date(EPOCH).toISOString();

const quota = () => errorFromAnswer('create', 403, 'pods "p" is forbidden: exceeded quota: small', undefined);
const testFailed = () => errorFromAnswer('patch', 422, 'the server rejected our request', undefined);
const gone = () => errorFromAnswer('get', 404, JSON.stringify({ kind: 'Status', reason: 'NotFound' }), undefined);
const lost = () => clientError('create', 'ConnectionLost', 'unknown');
const unsent = () => clientError('create', 'ConnectFailed', 'refused');

let clock: FakeClock;
let caches: Caches;
let pending: PendingPods;
let starter: SessionStarter;
let agent: Agent;
let lead: AbortController;
/** Names of the pods that were asked for, and of those that were claimed. */
let requests: string[];
/** What the claims said. */
let claims: JsonPatchOp[][];
let woken: string[];
let logged: string[];
/** Pods that this process knows to have bound. */
let bound: string[];
/** What becomes of the next creations and claims; without a word they succeed. */
let creating: ((pod: NewObject<Pod>) => Promise<Pod>)[];
let claiming: (() => Promise<Pod>)[];
/** What a fresh read finds. */
let reading: () => Promise<Pod>;

const spec = agentSpec.parse({ image: 'i', scaling: { maxAgents: 100 } });
const verdict: Serving = { ok: true, spec, template: {}, revision: REVISION };

beforeEach(() => {
  clock = new FakeClock(EPOCH);
  caches = {
    agents: new Store(),
    sessions: new Store<Session>({ indexes: sessionIndexes }),
    pods: new Store<Pod>({ indexes: podIndexes }),
    nodes: new Store<Node>(),
  };
  caches.pods.replaceAll([], '1');
  pending = new PendingPods({ clock, settleAfterMs: 6000 });
  agent = makeAgent({ protocol: 'Http' });
  lead = new AbortController();
  requests = [];
  claims = [];
  woken = [];
  logged = [];
  bound = [];
  creating = [];
  claiming = [];
  reading = () => Promise.reject(gone());
  let version = 100;
  const created = ({ metadata }: NewObject<Pod>): Promise<Pod> => {
    const { name = '', labels = {}, annotations = {} } = metadata;
    const resourceVersion = String((version += 1));
    const session = makeSession('x');
    return Promise.resolve(
      makeHttpPod(session, { metadata: { name, labels, annotations, uid: `uid-${name}`, resourceVersion } }),
    );
  };
  const api = {
    get: () => reading(),
    create: (_resource: unknown, _namespace: string, pod: NewObject<Pod>) => {
      requests.push(pod.metadata.name ?? '');
      return (creating.shift() ?? created)(pod);
    },
    patch: (resource: { kind: string }, { name }: ObjectRef, { ops }: { ops: JsonPatchOp[] }) => {
      const resourceVersion = String((version += 1));
      if (resource.kind === 'Session') {
        const session = caches.sessions.get(`${NAMESPACE}/${name}`);
        const op = ops.at(-1);
        const status = op !== undefined && 'value' in op ? (op.value as SessionStatus) : undefined;
        return Promise.resolve({ ...session, metadata: { ...session?.metadata, resourceVersion }, status });
      }
      requests.push(name);
      claims.push(ops);
      const claimed = makeWarmPod(name, { metadata: { labels: {}, resourceVersion } });
      return (claiming.shift() ?? (() => Promise.resolve(claimed)))();
    },
  } as unknown as KubeApi;
  const silent = () => undefined;
  const announcer = { waiting: silent, finished: silent } as unknown as Announcer;
  const supervisor = { image: 's', imagePullPolicy: 'Always' as const, imagePullSecrets: [], resources: {} };
  const deliverer = { bound: (_session: string, pod: string) => bound.push(pod) } as unknown as Deliverer;
  const log = (_fields: object, message: string) => logged.push(message);
  starter = new SessionStarter({
    api,
    caches,
    bodies: { api, keys: { open: () => Promise.reject(new Error('nothing is sealed here')) } },
    pending,
    verdicts: new Verdicts({ api, store: caches.sessions, announcer, clock, settleAfterMs: 6000 }),
    announcer,
    factory: new PodFactory({
      policy: STRICT_POLICY,
      supervisor,
      publicKeys: () => ({ controller: [], gateway: [] }),
    }),
    binder: new PodBinder({ api, caches, pending, deliverer, clock }),
    clock,
    random: () => 0.5,
    logger: { debug: log, info: log, warn: log, error: log },
    wake: (agentKey) => woken.push(agentKey),
  });
});

/** Starts of new Sessions, which the cache knows. */
function starts(...names: string[]): Start[] {
  const sessions = names.map((name) => makeSession(name));
  caches.sessions.replaceAll(sessions, '1');
  return sessions.map((session) => ({ session, admittedAt: ADMITTED, limits: LIMITS }));
}

/** The start of a Session on a pod that waits. */
function claim(pod: Pod): Start[] {
  caches.pods.replaceAll([pod], '50');
  return starts('s').map((start) => ({ ...start, pod }));
}

const begin = (given: Start[]): void => starter.begin(KEY, agent, verdict, given, lead.signal);
const settle = (): Promise<void> => clock.advanceAsync(0);
const podNameOf = ({ session: { metadata } }: Start): string => sessionPodName(metadata, 0);
const states = () => pending.ofAgent(KEY).map(({ name, state }) => `${name} ${state}`);
const stored = () => caches.sessions.get(`${NAMESPACE}/s`)?.status;

describe('Sessions that are given their pods', () => {
  it('are bound at once for whoever plans next, although nothing has been asked for yet', async () => {
    const given = starts('a', 'b');
    begin(given);
    expect(pending.ofAgent(KEY)).toMatchObject(
      given.map((start) => ({ name: podNameOf(start), sessionUid: start.session.metadata.uid, state: 'sent' })),
    );
    expect(requests).toEqual([]);
    await settle();
    expect(requests).toEqual(given.map(podNameOf));
    expect(caches.pods.list()).toHaveLength(2);
    expect(bound).toEqual(given.map((start) => `uid-${podNameOf(start)}`));
    expect(pending.ofAgent(KEY)).toEqual([]);
  });

  it('hold the pod that they are to have under its name', async () => {
    begin(claim(makeWarmPod('warm')));
    expect(pending.ofAgent(KEY)).toMatchObject([{ name: 'warm', sessionUid: 'uid-s' }]);
    await settle();
    expect(requests).toEqual(['warm']);
    expect(bound).toEqual(['uid-warm']);
    expect(pending.ofAgent(KEY)).toEqual([]);
  });

  it('have little time on a pod that is ready, unless somebody is to open their WebSocket', async () => {
    for (const transport of [undefined, 'WebSocket'] as const) {
      const start = claim(makeWarmPod('warm')).map(({ session, ...more }) => ({
        ...more,
        session: { ...session, spec: { ...session.spec, ...(transport && { transport }) } },
      }));
      begin(start);
      await settle();
      const claimed = claims.at(-1)?.find(({ path }) => path.endsWith('bullpen.dev~1binding'));
      const record = JSON.parse(String(claimed && 'value' in claimed ? claimed.value : '')) as object;
      if (transport === undefined) expect(record).toHaveProperty('startWindowSeconds', WARM_START_WINDOW_SECONDS);
      else expect(record).not.toHaveProperty('startWindowSeconds');
    }
  });

  it('get them in their order, sixteen at a time', async () => {
    const replies: (() => void)[] = [];
    creating = Array.from({ length: 20 }, () => () => {
      const { promise, resolve } = Promise.withResolvers<Pod>();
      replies.push(() => resolve(makeHttpPod(makeSession('x'), { metadata: { resourceVersion: '90' } })));
      return promise;
    });
    const given = starts(...Array.from({ length: 20 }, (_, i) => `s${String(i).padStart(2, '0')}`));
    begin(given);
    await settle();
    expect(requests).toEqual(given.slice(0, 16).map(podNameOf));
    expect(pending.ofAgent(KEY)).toHaveLength(20);
    replies.shift()?.();
    await settle();
    expect(requests).toEqual(given.slice(0, 17).map(podNameOf));
  });

  it('get none once this process leads no longer, and hold no place for it', async () => {
    begin(starts('a', 'b'));
    lead.abort();
    begin(starts('c'));
    await settle();
    expect(requests.filter((name) => name.startsWith('c'))).toEqual([]);
    expect(pending.ofAgent(KEY)).toEqual([]);
  });
});

describe('a request without an answer', () => {
  it('is counted as carried out until it is known, and holds its Agent back for a moment', async () => {
    creating = [() => Promise.reject(lost())];
    const given = starts('s');
    begin(given);
    await settle();
    expect(states()).toEqual([`${given.map(podNameOf).join()} unknown`]);
    expect(starter.heldMs(KEY)).toBe(100);
    expect(woken).toEqual([KEY]);
    expect(logged).toEqual(['cannot start a session']);
    expect(stored()).toBeUndefined();
  });

  it('holds no place where nothing was sent', async () => {
    creating = [() => Promise.reject(unsent())];
    begin(starts('s'));
    await settle();
    expect(states()).toEqual([]);
    expect(starter.heldMs(KEY)).toBeGreaterThan(0);
    expect(woken).toEqual([KEY]);
  });

  it('holds its Agent back for longer each time, until there is an answer; others are not concerned', async () => {
    const held: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      creating = [() => Promise.reject(unsent())];
      begin(starts('s'));
      await settle();
      held.push(starter.heldMs(KEY));
      clock.advance(60_000);
    }
    expect(held).toEqual([100, 200, 400, 800]);
    expect(starter.heldMs(KEY)).toBeLessThanOrEqual(0);
    expect(starter.heldMs(`${NAMESPACE}/other`)).toBeLessThanOrEqual(0);
    begin(starts('s'));
    await settle();
    creating = [() => Promise.reject(unsent())];
    begin(starts('t'));
    await settle();
    expect(starter.heldMs(KEY)).toBe(100);
  });

  it('is forgotten with its Agent', async () => {
    creating = [() => Promise.reject(unsent())];
    begin(starts('s'));
    await settle();
    starter.forget(KEY);
    expect(starter.heldMs(KEY)).toBeLessThanOrEqual(0);
  });

  it('may have been the claim of a pod: that is read at once', async () => {
    claiming = [() => Promise.reject(lost())];
    reading = () => Promise.reject(unsent());
    begin(claim(makeWarmPod('warm')));
    await settle();
    expect(states()).toEqual(['warm unknown']);
    expect(starter.heldMs(KEY)).toBe(100);
    expect(bound).toEqual([]);
  });
});

describe('a pod that Kubernetes refuses', () => {
  const refuse = async (): Promise<void> => {
    creating = [() => Promise.reject(quota())];
    const session = caches.sessions.get(`${NAMESPACE}/s`) ?? makeSession('s');
    begin([{ session, admittedAt: ADMITTED, limits: LIMITS }]);
    await settle();
  };

  it('keeps its Session admitted, which is told why, and holds nobody back', async () => {
    starts('s');
    await refuse();
    expect(stored()).toMatchObject({ phase: 'Starting', reason: 'QuotaExceeded' });
    expect(states()).toEqual([]);
    expect(starter.heldMs(KEY)).toBeLessThanOrEqual(0);
    expect([...starter.retryTimes(KEY, caches.sessions.list()).values()]).toEqual([EPOCH + 500]);
  });

  it('is tried again however often: whoever plans learns when, also where there is nothing new to tell', async () => {
    starts('s');
    await refuse();
    clock.advance(500);
    woken = [];
    await refuse();
    expect([...starter.retryTimes(KEY, caches.sessions.list()).values()]).toEqual([EPOCH + 1500]);
    // The pass that began it is over, and nothing changes.
    expect(woken).toEqual([KEY]);
  });

  it('is refused for as long as none of its revision is taken, whatever becomes of another', () => {
    starter.refused(KEY, 'new', 'Pod is invalid');
    starter.accepted(KEY, 'old');
    expect(starter.refusalOf(KEY)).toMatchObject({ revision: 'new' });
    starter.accepted(KEY, 'new');
    expect(starter.refusalOf(KEY)).toBeUndefined();
  });

  it('ends the Session where there is no body to be had, and holds no place', async () => {
    const session = makeSession('s', { spec: { bodyFrom: { secretKeyRef: { name: 'none', key: 'body' } } } });
    caches.sessions.replaceAll([session], '1');
    begin([{ session, admittedAt: ADMITTED, limits: LIMITS }]);
    await settle();
    expect(stored()).toMatchObject({ phase: 'Rejected', reason: 'BodyNotFound' });
    expect(requests).toEqual([]);
    expect(states()).toEqual([]);
  });
});

describe('a Session that was made over REST', () => {
  const bodyFrom = { secretKeyRef: { name: 's-1', key: 'body' } };
  const letter = { metadata: { name: 's-1', labels: { 'bullpen.dev/body': 'session' } }, data: { body: 'e30=' } };
  const overRest = (): Session =>
    makeSession('s', { metadata: { labels: { 'bullpen.dev/started-by': 'gateway' } }, spec: { bodyFrom } });

  function beginOne(): void {
    const session = overRest();
    caches.sessions.replaceAll([session], '1');
    begin([{ session, admittedAt: ADMITTED, limits: LIMITS }]);
  }

  it('gets its pod as soon as the Secret of its body is there, which comes after it', async () => {
    beginOne();
    await clock.advanceAsync(1_000);
    expect(requests).toEqual([]);
    reading = () => Promise.resolve(letter as unknown as Pod);
    await clock.advanceAsync(500);
    expect(requests).toHaveLength(1);
  });

  it('is refused when that does not come', async () => {
    beginOne();
    await clock.advanceAsync(4_900);
    expect(stored()?.phase).not.toBe('Rejected');
    await clock.advanceAsync(1_000);
    expect(stored()).toMatchObject({ phase: 'Rejected', reason: 'BodyNotFound' });
    expect(states()).toEqual([]);
  });
});

describe('a pod that is no longer what it was', () => {
  const warm = makeWarmPod('warm');
  const dying = makeWarmPod('warm', { metadata: { deletionTimestamp: at(1), resourceVersion: '60' } });

  it('leaves its Session to the next plan, with what the pod is now', async () => {
    claiming = [() => Promise.reject(testFailed())];
    reading = () => Promise.resolve(dying);
    const told: unknown[] = [];
    begin(claim(warm));
    caches.pods.subscribe((change) => told.push(change.type));
    await settle();
    expect(caches.pods.list()).toEqual([dying]);
    expect(told).toEqual(['updated']);
    expect([states(), bound]).toEqual([[], []]);
    expect(starter.heldMs(KEY)).toBeLessThanOrEqual(0);
    expect(stored()).toBeUndefined();
  });

  it.for([
    ['changes', () => caches.pods.applyWatch('MODIFIED', dying), () => Promise.resolve(dying)],
    ['goes', () => caches.pods.applyWatch('DELETED', dying), () => Promise.reject(gone())],
  ] as const)('leaves it to the next plan also when the watch tells first that it %s', async ([, watch, read]) => {
    const { promise, reject } = Promise.withResolvers<Pod>();
    claiming = [() => promise];
    reading = read;
    begin(claim(warm));
    await settle();
    // Whoever plans now takes the Session for bound, and has nothing to come back for.
    watch();
    woken = [];
    reject(testFailed());
    await settle();
    expect(states()).toEqual([]);
    expect(woken).toEqual([KEY]);
  });
});
