import type { KubeApi } from '../kube/api.ts';
import { abortable, settlesWithin, sleep, type Clock } from '../kube/clock.ts';
import { Controller, type Reconcile } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Logger } from '../kube/logger.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import type { ControllerMetrics } from '../telemetry/metrics.ts';
import { Ledger } from '../usage/ledger.ts';
import { AgentLoop } from './agent-loop.ts';
import type { Platform } from './agent-state.ts';
import { AgentStatusWriter } from './agent-status-writer.ts';
import { Announcer } from './announcer.ts';
import { Arrivals } from './arrivals.ts';
import { INDEX, splitKey, type Caches } from './caches.ts';
import { Deliverer } from './delivery/deliverer.ts';
import type { CallSupervisor } from './delivery/supervisor-client.ts';
import type { Informers } from './informers.ts';
import type { KeyKeeper } from './keys/key-keeper.ts';
import type { KeyRing } from './keys/key-ring.ts';
import type { SealingKeyPublisher } from './keys/sealing-key-publisher.ts';
import { NamespaceLoop } from './namespace-loop.ts';
import type { SessionNetwork } from './namespace-objects.ts';
import { NodeWatch } from './node-watch.ts';
import { PendingPods } from './pending-pods.ts';
import { PodBinder } from './pod-binder.ts';
import { PodFactory } from './pod-factory.ts';
import { PoolKeeper } from './pool/pool-keeper.ts';
import { createQueues, enqueueAll, route, type Queues } from './queues.ts';
import { RetentionLoop } from './retention.ts';
import { Attempts } from './revisions/attempts.ts';
import { LastGood } from './revisions/last-good.ts';
import { RevisionRecorder } from './revisions/revision-recorder.ts';
import { SessionLoop } from './session-loop.ts';
import { SessionStarter } from './session-starter.ts';
import { Verdicts } from './verdicts.ts';

/** How long the last Events may hold up the next leader. */
const EVENTS_DEADLINE_MS = 2_000;

/** How long a namespace is left alone that may not be read. */
const UNREADABLE_MS = 10_000;

export interface LeaderDeps {
  api: KubeApi;
  informers: Informers;
  events: EventRecorder;
  keys: Pick<KeyRing, 'load' | 'run' | 'sign' | 'open' | 'publicKeys' | 'kids' | 'onChanged'>;
  /** Pods trust them, and the gateway signs with them. */
  gatewayKeys: Pick<KeyKeeper<'signing'>, 'load' | 'run' | 'publicKeys'>;
  /** Tells whoever seals which keys to use. */
  publisher: Pick<SealingKeyPublisher, 'run'>;
  callSupervisor: CallSupervisor;
  platform: Platform;
  networkPolicy: SessionNetwork;
  concurrency: { agents: number; sessions: number };
  /** The API server's own timeout for a mutation: after it, a predecessor's last request can no longer be carried out. */
  mutationTimeoutMs: number;
  metrics: ControllerMetrics;
  kitMetrics: KubeMetrics;
  clock: Clock;
  random: () => number;
  logger: Logger;
}

/**
 * What the leader does until `signal` is aborted.
 *
 * Before its first decision it makes sure to know everything: a predecessor that did not leave in good order may have a
 * request under way, which the API server carries out within its timeout or never. Only then come complete, fresh lists; a namespace that may not be listed is left alone.
 */
export async function lead(deps: LeaderDeps, signal: AbortSignal, handover: { cleanHandover: boolean }): Promise<void> {
  const { clock, logger } = deps;
  const since = clock.monotonic();
  try {
    await knowEverything(deps, signal, handover);
    await deps.keys.load(signal);
    // Without these only WebSockets cannot be opened: no reason for nobody to lead.
    await deps.gatewayKeys.load(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      logger.error({ err: error }, 'WebSockets cannot be opened in pods that are made until there are keys');
    });
  } catch (error) {
    if (signal.aborted) return; // Told to stop before it began.
    throw error;
  }
  const queues = createQueues({ clock, metrics: deps.kitMetrics });
  const { loops, caches, nodes, guarded, pending, verdicts, deliverer, arrivals } = createLoops(deps, queues);
  const run = (name: string, queue: keyof typeof queues, concurrency: number, reconcile: Reconcile): Promise<void> =>
    new Controller({
      name,
      queue: queues[queue],
      reconcile,
      concurrency,
      clock,
      logger,
      metrics: deps.kitMetrics,
    }).run(signal);

  const stopRouting = route(caches, guarded, nodes, queues, (agentKey) => loops.agents.hasWaiting(agentKey));
  const stopArrivals = arrivals.follow(caches.sessions);
  // Pods that trust none of the keys are of no use.
  const stopKeys = deps.keys.onChanged('signing', () => {
    for (const key of caches.agents.keys()) queues.agents.add(key);
  });
  for (const node of caches.nodes.values()) nodes.observe(node);
  enqueueAll(caches, guarded, queues);
  logger.info(
    { sessions: caches.sessions.size, pods: caches.pods.size, afterMs: Math.round(clock.monotonic() - since) },
    'leading',
  );
  const { agents, sessions, retention, namespaces } = loops;
  const leftAlone = unreadable(deps.informers);
  try {
    await Promise.all([
      run('agent', 'agents', deps.concurrency.agents, (key, stop) =>
        leftAlone(splitKey(key).namespace, () => agents.reconcile(key, stop)),
      ),
      run('session', 'sessions', deps.concurrency.sessions, (uid) =>
        leftAlone(namespaceOf(caches, uid), () => sessions.reconcile(uid)),
      ),
      run('retention', 'retention', 1, (key, stop) =>
        leftAlone(splitKey(key).namespace, () => retention.reconcile(key, stop)),
      ),
      run('namespace', 'namespaces', 2, (key) => leftAlone(key, () => namespaces.reconcile(key))),
      deps.keys.run(signal),
      deps.gatewayKeys.run(signal),
      deps.publisher.run((listener) => deps.keys.onChanged('sealing', listener), signal),
    ]);
  } finally {
    stopRouting();
    stopArrivals();
    stopKeys();
    deliverer.close();
    for (const queue of Object.values(queues)) queue.shutDown();
    // Nobody gets the lease before; what is not written then is dropped, by the client's guard.
    await settlesWithin(clock, deps.events.stop(), EVENTS_DEADLINE_MS);
    // A successor that is handed the lease in good order begins at once: no request of ours may come after that.
    await sleep(clock, Math.max(pending.allSettleInMs(), verdicts.allSettleInMs()));
  }
}

/**
 * What is decided about a namespace needs all of its objects. One that may not be read, as after its deletion, is left
 * alone and looked at again a little later.
 */
function unreadable({ agents, sessions, pods, nodes, budgets, policies }: Informers) {
  const informers = [agents, sessions, pods, nodes, budgets, policies];
  return (namespace: string | undefined, reconcile: () => ReturnType<Reconcile>): ReturnType<Reconcile> => {
    const refused = informers.some((informer) => informer.refusedNamespaces.includes(namespace ?? ''));
    return refused ? Promise.resolve({ requeueAfterMs: UNREADABLE_MS }) : reconcile();
  };
}

function namespaceOf(caches: Caches, sessionUid: string): string | undefined {
  const [session] = caches.sessions.byIndex(INDEX.uid, sessionUid);
  const [pod] = caches.pods.byIndex(INDEX.sessionUid, sessionUid);
  return (session ?? pod)?.metadata.namespace;
}

async function knowEverything(
  { clock, informers, mutationTimeoutMs }: LeaderDeps,
  signal: AbortSignal,
  handover: { cleanHandover: boolean },
): Promise<void> {
  if (!handover.cleanHandover) await sleep(clock, mutationTimeoutMs, signal);
  const fresh = [informers.agents.relist(), informers.sessions.relist(), informers.pods.relist()];
  const synced = [informers.nodes, informers.budgets, informers.policies].map((informer) =>
    informer.whenSynced(signal),
  );
  await abortable(Promise.all([...fresh, ...synced]), signal);
}

/** The loops and what they share. */
function createLoops(deps: LeaderDeps, queues: Queues) {
  const { api, clock, informers, keys, logger, metrics, platform, random } = deps;
  const caches: Caches = {
    agents: informers.agents.store,
    sessions: informers.sessions.store,
    pods: informers.pods.store,
    nodes: informers.nodes.store,
  };
  const nodes = new NodeWatch({ api, store: caches.nodes, clock });
  const ledger = new Ledger(metrics);
  const arrivals = new Arrivals({ clock });
  const announcer = new Announcer({ events: deps.events, metrics, ledger, arrivals });
  const settleAfterMs = deps.mutationTimeoutMs + 1_000;
  const pending = new PendingPods({ clock, settleAfterMs });
  const verdicts = new Verdicts({ api, store: caches.sessions, announcer, clock, settleAfterMs });
  const deliverer = new Deliverer({
    signer: keys,
    call: deps.callSupervisor,
    clock,
    logger,
    wake: (sessionUid) => queues.sessions.add(sessionUid),
  });
  const wake = (agentKey: string): void => queues.agents.add(agentKey);
  const factory = new PodFactory({
    ...platform,
    publicKeys: () => ({ controller: keys.publicKeys, gateway: deps.gatewayKeys.publicKeys('signing') }),
  });
  const bodies = { api, keys };
  const starter = new SessionStarter({
    api,
    caches,
    bodies,
    pending,
    verdicts,
    announcer,
    factory,
    binder: new PodBinder({ api, caches, pending, deliverer, clock }),
    clock,
    random,
    logger,
    wake,
  });
  const pool = new PoolKeeper({
    api,
    caches,
    pending,
    factory,
    kids: () => keys.kids,
    refusals: starter,
    clock,
    random,
    logger,
    wake,
  });
  const attempts = new Attempts({ clock, logger, wake });
  const statusWriter = new AgentStatusWriter({ api, store: caches.agents, announcer, clock });
  const budgets = informers.budgets.store;
  const policies = informers.policies.store;
  return {
    caches,
    nodes,
    pending,
    verdicts,
    deliverer,
    arrivals,
    guarded: [budgets, policies] as const,
    loops: {
      agents: new AgentLoop({
        api,
        caches,
        pending,
        starter,
        statusWriter,
        verdicts,
        pool,
        recorder: new RevisionRecorder({ api, attempts }),
        lastGood: new LastGood({ api, platform, attempts }),
        platform,
        metrics,
        clock,
      }),
      sessions: new SessionLoop({ api, caches, bodies, nodes, deliverer, ledger, announcer, metrics, clock }),
      retention: new RetentionLoop({ api, caches, clock }),
      namespaces: new NamespaceLoop({
        api,
        caches,
        announcer,
        budgets,
        policies,
        networkPolicy: deps.networkPolicy,
      }),
    },
  };
}
