import { describe, expect, it } from 'vitest';
import type { KubeApi } from '../kube/api.ts';
import type { NetworkPolicy, Pod, PodDisruptionBudget } from '../kube/objects.ts';
import { Store } from '../kube/store.ts';
import { agentIndexes, podIndexes, sessionIndexes, type Caches } from './caches.ts';
import { NamespaceLoop } from './namespace-loop.ts';
import { sessionBudget, sessionNetworkPolicy } from './namespace-objects.ts';
import { createQueues, enqueueAll } from './queues.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { at, makeAgent, makePod, makeSession, NAMESPACE, running, terminated } from './testing/objects.ts';

/** A namespace with these pods, with or without an Agent, that has both objects already or not; notes what is written. */
function setUp({ pods = [], agent = false, guarded = false }: { pods?: Pod[]; agent?: boolean; guarded?: boolean }) {
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
    const [budget, policy] = [sessionBudget(NAMESPACE), sessionNetworkPolicy(NAMESPACE)];
    budgets.replaceAll([{ ...budget, metadata: { ...budget.metadata, ...stored } } as PodDisruptionBudget], '10');
    policies.replaceAll([{ ...policy, metadata: { ...policy.metadata, ...stored } } as NetworkPolicy], '10');
  }
  const written: string[] = [];
  const api = {
    create: (resource: { kind: string }, _namespace: string, body: object) => {
      written.push(`create ${resource.kind}`);
      return Promise.resolve({ ...body, metadata: { ...(body as { metadata: object }).metadata, ...stored } });
    },
    delete: (resource: { kind: string }) => {
      written.push(`delete ${resource.kind}`);
      return Promise.resolve(undefined);
    },
  } as unknown as KubeApi;
  const loop = new NamespaceLoop({ api, caches, budgets, policies, networkPolicyEnabled: true });
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

  it('are looked at by a new leader even where nothing else is left in their namespace', async () => {
    const { caches, guards } = setUp({ guarded: true });
    const queues = createQueues({ clock: new FakeClock() });
    enqueueAll(caches, guards, queues);
    expect(await queues.namespaces.get(AbortSignal.timeout(1000))).toBe(NAMESPACE);
  });
});
