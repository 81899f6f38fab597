import { describe, expect, it } from 'vitest';
import type { KubeApi } from '../kube/api.ts';
import { KubeError } from '../kube/errors.ts';
import type { NetworkPolicy, Pod, PodDisruptionBudget } from '../kube/objects.ts';
import { Store } from '../kube/store.ts';
import type { Announcer } from './announcer.ts';
import { agentIndexes, podIndexes, sessionIndexes, type Caches } from './caches.ts';
import { NamespaceLoop } from './namespace-loop.ts';
import { sessionBudget, sessionNetworkPolicy } from './namespace-objects.ts';
import { NodeWatch } from './node-watch.ts';
import { createQueues, enqueueAll, route } from './queues.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { at, makeAgent, makePod, makeSession, NAMESPACE, running, terminated } from './testing/objects.ts';

/** A namespace with these pods, with or without an Agent, that has both objects already or not; notes what is written. */
function setUp({
  pods = [],
  agent = false,
  guarded = false,
  taken,
}: {
  pods?: Pod[];
  agent?: boolean;
  guarded?: boolean;
  /** Labels of objects by their names that the caches do not show. */
  taken?: Record<string, string>;
}) {
  const caches: Caches = {
    agents: new Store({ indexes: agentIndexes }),
    sessions: new Store({ indexes: sessionIndexes }),
    pods: new Store({ indexes: podIndexes }),
    nodes: new Store(),
  };
  if (agent) caches.agents.replaceAll([makeAgent()], '10');
  caches.pods.replaceAll(pods, '10');
  const budgets = new Store<PodDisruptionBudget>();
  const policies = new Store<NetworkPolicy>();
  const stored = { uid: 'u', resourceVersion: '5', creationTimestamp: at(0) };
  if (guarded) {
    const [budget, policy] = [sessionBudget(NAMESPACE), sessionNetworkPolicy(NAMESPACE, [])];
    budgets.replaceAll([{ ...budget, metadata: { ...budget.metadata, ...stored } } as PodDisruptionBudget], '10');
    policies.replaceAll([{ ...policy, metadata: { ...policy.metadata, ...stored } } as NetworkPolicy], '10');
  }
  const written: string[] = [];
  const api = {
    create: (resource: { kind: string }, _namespace: string, body: object) => {
      if (taken !== undefined)
        return Promise.reject(new KubeError('taken', { code: 409, reason: 'AlreadyExists', outcome: 'refused' }));
      written.push(`create ${resource.kind}`);
      return Promise.resolve({ ...body, metadata: { ...(body as { metadata: object }).metadata, ...stored } });
    },
    delete: (resource: { kind: string }) => {
      written.push(`delete ${resource.kind}`);
      return Promise.resolve(undefined);
    },
    get: (_resource: unknown, ref: object) => Promise.resolve({ metadata: { ...ref, ...stored, labels: taken } }),
  } as unknown as KubeApi;
  const announcer = {
    nameTaken: ({ kind }: { kind: string }) => written.push(`say that ${kind} is taken`),
  } as unknown as Announcer;
  const loop = new NamespaceLoop({
    api,
    caches,
    announcer,
    budgets,
    policies,
    networkPolicy: { enabled: true, from: [] },
  });
  return { caches, guards: [budgets, policies] as const, written, reconcile: () => loop.reconcile(NAMESPACE) };
}

const session = makeSession('a');
const live = makePod(session, { status: running(at(2)) });
const kept = makePod(session, { status: terminated('Succeeded', { exitCode: 0 }), metadata: { finalizers: [] } });

describe('the guards of a namespace', () => {
  it.each([
    ['come with its first Agent', { agent: true }, ['create PodDisruptionBudget', 'create NetworkPolicy']],
    ['stay while a session outlives its Agent', { guarded: true, pods: [live] }, []],
    [
      'go with the last session, although its pod is kept for its logs',
      { guarded: true, pods: [kept] },
      ['delete PodDisruptionBudget', 'delete NetworkPolicy'],
    ],
    ['cost nothing while nothing changes', { guarded: true, agent: true }, []],
  ])('%s', async (_what, state, expected) => {
    const { reconcile, written } = setUp(state);
    await reconcile();
    expect(written).toEqual(expected);
  });

  it('are not made where somebody else has their names; that is said, and tried again', async () => {
    const { reconcile, written } = setUp({ agent: true, taken: {} });
    expect(await reconcile()).toEqual({ requeueAfterMs: 600_000 });
    expect(written).toEqual(['say that PodDisruptionBudget is taken', 'say that NetworkPolicy is taken']);
  });

  it('are left to the watch when they have just been made', async () => {
    const { reconcile, written } = setUp({ agent: true, taken: { 'app.kubernetes.io/managed-by': 'bullpen' } });
    expect([await reconcile(), written]).toEqual([{}, []]);
  });

  it('are not looked at when a pod only changes the status of the budget, but when their spec is changed', async () => {
    const { caches, guards } = setUp({ agent: true, guarded: true });
    const clock = new FakeClock();
    const queues = createQueues({ clock });
    const nodes = new NodeWatch({ api: {} as KubeApi, store: caches.nodes, clock });
    route(caches, guards, nodes, queues, () => false);
    const [budget] = guards[0].list();
    if (budget === undefined) throw new Error('no budget');
    const later = (version: string, generation: number): PodDisruptionBudget => ({
      ...budget,
      metadata: { ...budget.metadata, resourceVersion: version, generation },
    });
    guards[0].applyWatch('MODIFIED', later('11', 1));
    queues.namespaces.done((await queues.namespaces.get()) ?? '');
    guards[0].applyWatch('MODIFIED', later('12', 1));
    expect(queues.namespaces.length).toBe(0);
    guards[0].applyWatch('MODIFIED', later('13', 2));
    expect(queues.namespaces.length).toBe(1);
  });

  it('are looked at by a new leader even where nothing else is left in their namespace', async () => {
    const { caches, guards } = setUp({ guarded: true });
    const queues = createQueues({ clock: new FakeClock() });
    enqueueAll(caches, guards, queues);
    expect(await queues.namespaces.get(AbortSignal.timeout(1000))).toBe(NAMESPACE);
  });
});
