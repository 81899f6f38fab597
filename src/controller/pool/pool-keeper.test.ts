import { beforeEach, describe, expect, it } from 'vitest';
import { agentSpec, type Agent, type AgentSpecInput } from '../../api/agent.ts';
import type { DeleteOptions, KubeApi } from '../../kube/api.ts';
import { clientError, errorFromAnswer } from '../../kube/errors.ts';
import type { NewObject, Node, Pod } from '../../kube/objects.ts';
import type { ObjectRef } from '../../kube/resources.ts';
import { Store } from '../../kube/store.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { STRICT_POLICY } from '../../pods/policy.ts';
import type { Serving } from '../agent-state.ts';
import { podIndexes, type Caches } from '../caches.ts';
import { PendingPods } from '../pending-pods.ts';
import { PodFactory } from '../pod-factory.ts';
import { BROKEN_REVISION, makeNode, makeWarmPod, REVISION, waitingNow } from '../testing/http-objects.ts';
import { at, EPOCH, makeAgent, NAMESPACE } from '../testing/objects.ts';
import { PoolKeeper, type PoolOf, type PoolReport } from './pool-keeper.ts';

const KEY = `${NAMESPACE}/echo`;
const quota = () => errorFromAnswer('create', 403, 'pods "p" is forbidden: exceeded quota: small', undefined);
const invalid = () => errorFromAnswer('create', 422, 'Pod is invalid', undefined);
const changed = () => errorFromAnswer('delete', 409, '', undefined);
const gone = () => errorFromAnswer('delete', 404, JSON.stringify({ kind: 'Status', reason: 'NotFound' }), undefined);
const lost = () => clientError('create', 'ConnectionLost', 'unknown');

interface Deletion extends DeleteOptions {
  name: string;
}

let clock: FakeClock;
let caches: Caches;
let pending: PendingPods;
let keeper: PoolKeeper;
let agent: Agent;
let created: string[];
let deletions: Deletion[];
let woken: string[];
let refusals: string[];
let logged: string[];
/** What becomes of the next creations and deletions; without a word they succeed. */
let creating: ((pod: NewObject<Pod>) => Promise<Pod>)[];
let deleting: (() => Promise<Pod | undefined>)[];
/** What a fresh read finds, by name; without one there is no such pod. */
let readings: Record<string, () => Promise<Pod>>;
let reads: string[];
let lead: AbortController;

beforeEach(() => {
  clock = new FakeClock(EPOCH);
  caches = {
    agents: new Store(),
    sessions: new Store(),
    pods: new Store<Pod>({ indexes: podIndexes }),
    nodes: new Store<Node>(),
  };
  caches.nodes.replaceAll([makeNode('node-1'), makeNode('leaves', { unschedulable: true })], '1');
  pending = new PendingPods({ clock, settleAfterMs: 6000 });
  created = [];
  deletions = [];
  woken = [];
  refusals = [];
  logged = [];
  creating = [];
  deleting = [];
  readings = {};
  reads = [];
  lead = new AbortController();
  let version = 100;
  const succeed = ({ metadata }: NewObject<Pod>): Promise<Pod> =>
    Promise.resolve(
      makeWarmPod(metadata.name ?? '', {
        ready: false,
        node: null,
        metadata: { labels: metadata.labels ?? {}, resourceVersion: String((version += 1)) },
      }),
    );
  const api = {
    get: (_resource: unknown, { name }: ObjectRef) => {
      reads.push(name);
      return (readings[name] ?? (() => Promise.reject(gone())))();
    },
    create: (_resource: unknown, _namespace: string, pod: NewObject<Pod>) => {
      created.push(pod.metadata.name ?? '');
      return (creating.shift() ?? succeed)(pod);
    },
    delete: (_resource: unknown, { name }: ObjectRef, options: DeleteOptions) => {
      deletions.push({ name, ...options });
      return (deleting.shift() ?? (() => Promise.resolve(undefined)))();
    },
  } as unknown as KubeApi;
  const log = (_fields: object, message: string) => logged.push(message);
  const key = { kid: 'c1', kty: 'OKP' as const, crv: 'Ed25519' as const, x: 'public' };
  const supervisor = { image: 's', imagePullPolicy: 'Always' as const, imagePullSecrets: [], resources: {} };
  let seed = 0;
  agent = makeAgent({ protocol: 'Http' });
  keeper = new PoolKeeper({
    api,
    caches,
    pending,
    factory: new PodFactory({
      policy: STRICT_POLICY,
      supervisor,
      publicKeys: () => ({ controller: [key], gateway: [] }),
    }),
    kids: () => ['c1'],
    refusals: {
      refused: (...said) => refusals.push(said.join(' ')),
      accepted: (...said) => refusals.push(`${said.join(' ')} accepted`),
    },
    clock,
    // Spread over all values, so that names differ; its mean is what backoffs see.
    random: () => (seed = (seed + 0.37) % 1),
    logger: { debug: log, info: log, warn: log, error: log },
    wake: (agentKey) => woken.push(agentKey),
  });
});

function have(...pods: Pod[]): void {
  caches.pods.replaceAll(pods, '50');
}

function withVersion(pod: Pod, resourceVersion: string): Pod {
  return { ...pod, metadata: { ...pod.metadata, resourceVersion } };
}

/** One look, as the agent loop takes it. */
async function keep(scaling: NonNullable<AgentSpecInput['scaling']>, started = 0): Promise<PoolReport> {
  const spec = agentSpec.parse({ image: 'i', scaling });
  const verdict: Serving = { ok: true, spec, template: {}, revision: REVISION };
  const idle = keeper.idle(KEY, REVISION);
  const inCache = caches.pods.list();
  const unseen = pending.ofAgent(KEY).filter(({ name }) => !caches.pods.has(`${NAMESPACE}/${name}`));
  const pods = inCache.length + unseen.length;
  const report = keeper.keep(
    KEY,
    agent,
    { present: verdict, hasOther: false, broken: false },
    { idle, pods, active: 0, started },
    lead.signal,
  );
  await clock.advanceAsync(0);
  return report;
}

const names = (): string[] => keeper.idle(KEY, REVISION).map(({ pod }) => pod.metadata.name);

describe('a pool that has too few pods', () => {
  it('makes them at once, each under a name of its own, and then rests', async () => {
    expect(await keep({ minAgents: 3, maxAgents: 10 })).toMatchObject({ target: 3, ready: 0, warm: 0 });
    expect(new Set(created).size).toBe(3);
    expect(names().sort()).toEqual([...created].sort());
    await keep({ minAgents: 3, maxAgents: 10 });
    expect(created).toHaveLength(3);
  });

  it('makes few at a time, and none twice while they are on their way', async () => {
    const replies: (() => void)[] = [];
    const late = (pod: NewObject<Pod>) =>
      new Promise<Pod>((resolve) => replies.push(() => resolve(makeWarmPod(pod.metadata.name ?? ''))));
    creating = Array.from({ length: 8 }, () => late);
    await keep({ minAgents: 8, maxAgents: 8 });
    await keep({ minAgents: 8, maxAgents: 8 });
    expect(created).toHaveLength(4);
    expect(pending.ofAgent(KEY)).toHaveLength(8);
    while (replies.length > 0) {
      for (const reply of replies.splice(0)) reply();
      await clock.advanceAsync(0);
    }
    expect(created).toHaveLength(8);
    expect(pending.ofAgent(KEY)).toEqual([]);
  });

  it('does not count a pod of its own twice that the watch shows before the reply', async () => {
    creating = [() => new Promise<Pod>(() => undefined)];
    await keep({ minAgents: 1, maxAgents: 1 });
    caches.pods.applyWatch('ADDED', makeWarmPod(created[0] ?? '', { metadata: { resourceVersion: '60' } }));
    await keep({ minAgents: 1, maxAgents: 1 });
    expect(created).toHaveLength(1);
    expect(names()).toEqual([]);
  });

  it('leaves the first moment after a start to sessions', async () => {
    const report = await keep({ minAgents: 2, maxAgents: 10 }, 1);
    expect(created).toEqual([]);
    expect(report.requeueAfterMs).toBe(100);
    clock.advance(100);
    await keep({ minAgents: 2, maxAgents: 10 });
    expect(created).toHaveLength(2);
  });

  it('comes again for what it puts off, and for nothing else', async () => {
    expect((await keep({ minAgents: 1, maxAgents: 10 }, 1)).requeueAfterMs).toBe(100);
    clock.advance(50);
    expect((await keep({ minAgents: 1, maxAgents: 10 })).requeueAfterMs).toBe(50);
    have(makeWarmPod('a'));
    expect((await keep({ minAgents: 1, maxAgents: 10 }, 1)).requeueAfterMs).toBeUndefined();
  });

  it('makes nothing more once this process leads no longer, and forgets what it meant to make', async () => {
    lead.abort();
    await keep({ minAgents: 2, maxAgents: 10 });
    expect(created).toEqual([]);
    expect(pending.ofAgent(KEY)).toEqual([]);
  });
});

describe('a pod that Kubernetes refuses', () => {
  it('is a problem of the Agent, and is tried again later', async () => {
    creating = [() => Promise.reject(quota())];
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(woken).toEqual([KEY]);
    expect(pending.ofAgent(KEY)).toEqual([]);
    const report = await keep({ minAgents: 1, maxAgents: 10 });
    expect(report.problem).toMatchObject({ reason: 'QuotaExceeded' });
    expect(created).toHaveLength(1);
    clock.advance(report.requeueAfterMs ?? NaN);
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(created).toHaveLength(2);
    expect((await keep({ minAgents: 1, maxAgents: 10 })).problem).toBeUndefined();
  });

  it('blames the template where that is invalid, and says when one is taken after all', async () => {
    creating = [() => Promise.reject(invalid())];
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(refusals).toEqual([expect.stringMatching(/^team-a\/echo rev-2 .*Pod is invalid$/)]);
    clock.advance(60_000);
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(refusals.at(-1)).toBe(`team-a/echo ${REVISION} accepted`);
  });

  it('blames nobody where the quota is used up', async () => {
    creating = [() => Promise.reject(quota())];
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(refusals).toEqual([]);
  });

  it('holds its place while nobody knows whether it was made', async () => {
    creating = [() => Promise.reject(lost())];
    await keep({ minAgents: 1, maxAgents: 1 });
    expect(pending.ofAgent(KEY)).toMatchObject([{ state: 'unknown', sessionUid: undefined, name: created[0] }]);
    clock.advance(60_000);
    const report = await keep({ minAgents: 1, maxAgents: 1 });
    expect(created).toHaveLength(1);
    expect(report.problem).toMatchObject({ reason: 'PodCreateFailed' });
    expect(logged).toEqual(['cannot make a warm pod']);
  });

  it('holds its place also when the answer came from halfway', async () => {
    creating = [() => Promise.reject(errorFromAnswer('create', 504, '', undefined))];
    await keep({ minAgents: 1, maxAgents: 1 });
    expect(pending.ofAgent(KEY)).toMatchObject([{ state: 'unknown' }]);
  });
});

describe('a pod that is to go', () => {
  it('is deleted only as it was seen: one that was claimed meanwhile is another version', async () => {
    have(makeWarmPod('good'), makeWarmPod('bad', { node: 'leaves', metadata: { resourceVersion: '42' } }));
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(deletions).toEqual([{ name: 'bad', uid: 'uid-bad', resourceVersion: '42' }]);
    expect(woken).toEqual([KEY]);
  });

  it('is nobody’s meanwhile, and is deleted once', async () => {
    deleting = [() => new Promise(() => undefined)];
    have(makeWarmPod('old', { revision: 'rev-1' }));
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(keeper.idle(KEY, REVISION)).toMatchObject([{ leaving: true, usable: false }]);
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(deletions).toHaveLength(1);
  });

  it('is read afresh when it has changed, and then looked at again; nobody is told', async () => {
    deleting = [() => Promise.reject(changed())];
    const old = makeWarmPod('old', { revision: 'rev-1' });
    readings = { old: () => Promise.resolve(withVersion(old, '60')) };
    have(old);
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(logged).toEqual([]);
    expect(woken).toEqual([KEY]);
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(deletions.map(({ resourceVersion }) => resourceVersion)).toEqual(['5', '60']);
    expect(reads).toEqual(['old']);
  });

  it('stays where that shows that a Session has got it, also while the watch is late', async () => {
    deleting = [() => Promise.reject(changed())];
    const old = makeWarmPod('old', { revision: 'rev-1' });
    const busy = { ...old.metadata.labels, 'bullpen.dev/state': 'busy' };
    readings = { old: () => Promise.resolve(withVersion(makeWarmPod('old', { metadata: { labels: busy } }), '60')) };
    have(old);
    await keep({ minAgents: 0, maxAgents: 10 });
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(deletions).toHaveLength(1);
    expect(names()).toEqual([]);
  });

  it.for([
    ['before it is deleted', gone],
    ['before it is read again', changed],
  ] as const)('is nobody’s concern when it is gone %s', async ([, refusal]) => {
    deleting = [() => Promise.reject(refusal())];
    have(makeWarmPod('old', { revision: 'rev-1' }));
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(logged).toEqual([]);
    // The watch brings the news; to ask again at once would ask for ever.
    expect(woken).toEqual([]);
  });

  it.for([
    ['may not be deleted', () => errorFromAnswer('delete', 403, 'forbidden', undefined), undefined],
    ['has an API server that does not answer', lost, undefined],
    ['has changed and cannot be read', changed, lost],
  ] as const)('is tried again a while later when it %s', async ([, refusal, reading]) => {
    deleting = [() => Promise.reject(refusal())];
    if (reading !== undefined) readings = { old: () => Promise.reject(reading()) };
    have(makeWarmPod('old', { revision: 'rev-1' }));
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(logged).toEqual(['cannot delete a warm pod']);
    expect(woken).toEqual([]);
    await clock.advanceAsync(4999);
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(deletions).toHaveLength(1);
    expect(names()).toEqual(['old']);
    await clock.advanceAsync(1);
    expect(woken).toEqual([KEY]);
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(deletions).toHaveLength(2);
  });

  it('is seen to leave as soon as the API server says so', async () => {
    const old = makeWarmPod('old', { revision: 'rev-1' });
    const metadata = { ...old.metadata, deletionTimestamp: at(30), resourceVersion: '60' };
    deleting = [() => Promise.resolve({ ...old, metadata })];
    have(old);
    await keep({ minAgents: 0, maxAgents: 10 });
    expect(keeper.idle(KEY, REVISION)).toMatchObject([{ leaving: true }]);
  });

  it('goes after the cooldown where it is merely one too many', async () => {
    have(makeWarmPod('a'), makeWarmPod('b', { readySince: 2 }));
    const scaling = { minAgents: 1, maxAgents: 10, cooldownSeconds: 300 };
    expect((await keep(scaling)).requeueAfterMs).toBe(300_000);
    expect(deletions).toEqual([]);
    clock.advance(300_000);
    await keep(scaling);
    expect(deletions.map(({ name }) => name)).toEqual(['b']);
  });
});

describe('a pod whose claim is under way', () => {
  it('is not among those that wait', () => {
    have(makeWarmPod('a'), makeWarmPod('b'));
    pending.sent({ agentKey: KEY, sessionUid: 'uid-s', namespace: NAMESPACE, name: 'a' });
    expect(names()).toEqual(['b']);
  });
});

describe('an Agent that is gone', () => {
  it('leaves nothing that waits', async () => {
    const leaving = makeWarmPod('leaving', { metadata: { deletionTimestamp: at(5) } });
    const busy = makeWarmPod('busy', {
      metadata: { labels: { 'bullpen.dev/agent': 'echo', 'bullpen.dev/state': 'busy' } },
    });
    have(makeWarmPod('a'), makeWarmPod('b', { revision: 'rev-1' }), leaving, busy);
    keeper.drop(KEY);
    keeper.drop(KEY);
    await clock.advanceAsync(0);
    expect(deletions.map(({ name, uid }) => [name, uid])).toEqual([
      ['a', 'uid-a'],
      ['b', 'uid-b'],
    ]);
  });
});

describe('pods that end while they wait', () => {
  it('are made again ever more slowly, not as fast as they end', async () => {
    have(makeWarmPod('a'));
    await keep({ minAgents: 1, maxAgents: 10 });
    have(withVersion(makeWarmPod('a', { phase: 'Failed', ready: false }), '6'));
    const report = await keep({ minAgents: 1, maxAgents: 10 });
    expect(created).toEqual([]);
    clock.advance(report.requeueAfterMs ?? NaN);
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(created).toHaveLength(1);
  });

  it('are made again slowly also while others are ready', async () => {
    const ended = (name: string): Pod => makeWarmPod(name, { phase: 'Failed', ready: false });
    have(makeWarmPod('good'));
    await keep({ minAgents: 1, maxAgents: 10 });
    have(makeWarmPod('good'), ended('a'));
    const first = await keep({ minAgents: 2, maxAgents: 10 });
    have(makeWarmPod('good'), ended('a'), ended('b'));
    const second = await keep({ minAgents: 2, maxAgents: 10 });
    expect(created).toEqual([]);
    expect(second.requeueAfterMs).toBeGreaterThan(first.requeueAfterMs ?? NaN);
  });

  it('of an earlier revision are no reason to wait', async () => {
    have(makeWarmPod('a', { phase: 'Failed', ready: false, revision: 'rev-1' }));
    await keep({ minAgents: 1, maxAgents: 10 });
    expect(created).toHaveLength(1);
  });
});

describe('what is said of a pool', () => {
  it('counts who is ready, of any revision, and who is outdated', async () => {
    have(makeWarmPod('a'), makeWarmPod('b', { revision: 'rev-1' }), makeWarmPod('c', { ready: false }));
    expect(await keep({ minAgents: 2, maxAgents: 3 })).toMatchObject({ target: 2, ready: 1, warm: 2, outdated: 1 });
  });

  it('has no problem when as many are ready as should be', async () => {
    have(
      makeWarmPod('a'),
      makeWarmPod('b', { ready: false, agent: { state: { waiting: { reason: 'ErrImagePull' } } } }),
    );
    expect((await keep({ minAgents: 1, maxAgents: 3 })).problem).toBeUndefined();
    expect((await keep({ minAgents: 2, maxAgents: 3 })).problem).toMatchObject({ reason: 'ImagePullFailed' });
  });

  it('comes again when a pod will have taken too long', async () => {
    have(makeWarmPod('a', { ready: false }));
    expect((await keep({ minAgents: 1, maxAgents: 1 })).requeueAfterMs).toBe(120_000);
  });
});

describe('a present revision that cannot start', () => {
  const scaling = { minAgents: 2, maxAgents: 5 };
  const of = (revision: string): Serving => ({
    ok: true,
    spec: agentSpec.parse({ image: 'i', scaling }),
    template: {},
    revision,
  });
  const present = of(BROKEN_REVISION);
  const stuck = (name: string): Pod =>
    makeWarmPod(name, { ready: false, revision: BROKEN_REVISION, agent: waitingNow('ErrImagePull') });
  const isBroken = (): boolean => {
    const isReady = keeper.idle(KEY, BROKEN_REVISION).some(({ current, ready, usable }) => current && ready && usable);
    return keeper.isBroken(KEY, agent, present, isReady);
  };

  /** One look, as the agent loop takes it while another revision was the last that was ready. */
  async function look(instead?: Serving): Promise<PoolReport> {
    const pool: PoolOf = { present, hasOther: true, broken: isBroken(), instead };
    const idle = keeper.idle(KEY, (instead ?? present).revision, instead && present.revision);
    const report = keeper.keep(KEY, agent, pool, { idle, pods: idle.length, active: 0, started: 0 }, lead.signal);
    await clock.advanceAsync(0);
    return report;
  }

  it('is found out, looked at again at once, and remembered until a pod of it is ready', async () => {
    have(makeWarmPod('good'), stuck('stuck'));
    expect(isBroken()).toBe(false);
    expect(await look()).toMatchObject({ requeueAfterMs: 1, problem: { reason: 'ImagePullFailed' } });
    have(makeWarmPod('good'), makeWarmPod('made', { ready: false, revision: BROKEN_REVISION }));
    expect(isBroken()).toBe(true);
    expect(await look(of(REVISION))).toMatchObject({ instead: true, ready: 0, problem: { reason: 'ImagePullFailed' } });
    have(makeWarmPod('good'), withVersion(makeWarmPod('made', { revision: BROKEN_REVISION }), '6'));
    expect(isBroken()).toBe(false);
    expect((await look()).problem).toBeUndefined();
  });

  it('is known to the next leader by the status of the Agent, and not when that is about another', () => {
    const condition = { type: 'Ready', status: 'False', reason: 'ImagePullFailed', message: 'm' } as const;
    const conditions = [{ ...condition, lastTransitionTime: at(0), observedGeneration: 1 }];
    agent = { ...agent, status: { revision: 'rev-0', conditions } };
    expect(isBroken()).toBe(false);
    keeper.drop(KEY);
    agent = { ...agent, status: { revision: BROKEN_REVISION, conditions } };
    expect(isBroken()).toBe(true);
  });

  it('is not blamed for a quota', async () => {
    creating = [() => Promise.reject(quota()), () => Promise.reject(quota())];
    await look();
    expect((await look()).problem).toMatchObject({ reason: 'QuotaExceeded' });
    expect(isBroken()).toBe(false);
  });

  it('is not blamed for an API server that does not answer, nor for one that has no room', async () => {
    creating = [() => Promise.reject(lost()), () => Promise.reject(errorFromAnswer('create', 503, '', undefined))];
    await look();
    expect((await look()).problem).toMatchObject({ reason: 'PodCreateFailed' });
    expect(isBroken()).toBe(false);
  });

  it('is blamed for pods that no node has room for once they have waited too long', async () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes' }];
    have(makeWarmPod('nowhere', { ready: false, revision: BROKEN_REVISION, node: null, conditions }));
    expect((await look()).problem).toMatchObject({ reason: 'Unschedulable' });
    expect(isBroken()).toBe(false);
    clock.advance(present.spec.startTimeoutSeconds * 1000);
    await look();
    expect(isBroken()).toBe(true);
  });

  it('is none that has started once: what is wrong later is no reason to go back', async () => {
    have(makeWarmPod('ready', { revision: BROKEN_REVISION }));
    await look();
    have(stuck('stuck'));
    expect((await look()).problem).toMatchObject({ reason: 'ImagePullFailed' });
    expect(isBroken()).toBe(false);
  });

  it('is tried on with one pod, ever more slowly, while good ones are made at once', async () => {
    creating = [() => Promise.reject(invalid())];
    await look(of(REVISION));
    expect(created).toHaveLength(3);
    expect(refusals).toEqual([
      expect.stringMatching(`${BROKEN_REVISION} .*Pod is invalid$`),
      `${KEY} ${REVISION} accepted`,
      `${KEY} ${REVISION} accepted`,
    ]);
    for (const pod of caches.pods.list()) caches.pods.applyWatch('DELETED', pod);
    await look(of(REVISION));
    expect(created).toHaveLength(5);
    clock.advance(60_000);
    await look(of(REVISION));
    expect(created).toHaveLength(6);
  });

  it('leaves the next one with a clean slate', async () => {
    have(stuck('stuck'));
    await look();
    expect(isBroken()).toBe(true);
    expect(keeper.isBroken(KEY, agent, of('rev-4'), false)).toBe(false);
  });
});
