import { hostname } from 'node:os';
import { KubeConfig } from '@kubernetes/client-node';
import { callSupervisor } from '../controller/delivery/supervisor-client.ts';
import { createInformers, type Informers } from '../controller/informers.ts';
import { KeyKeeper } from '../controller/keys/key-keeper.ts';
import { KeyRing } from '../controller/keys/key-ring.ts';
import { SealingKeyPublisher } from '../controller/keys/sealing-key-publisher.ts';
import { kidsInUse } from '../controller/keys/kids-in-use.ts';
import { lead } from '../controller/leader.ts';
import { readConfig } from '../controller/config.ts';
import { systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/client.ts';
import { EventRecorder } from '../kube/events.ts';
import { Lifecycle } from '../kube/lifecycle.ts';
import { LeaderElector } from '../kube/leader-election.ts';
import { KubeMetrics } from '../kube/metrics.ts';
import { startHealthServer } from '../telemetry/http.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createControllerMetrics, createRegistry } from '../telemetry/metrics.ts';
import { version } from '../version.ts';
import { cacheProblem } from './cache-problem.ts';

/** The API server's timeout for every mutation, in seconds; see `lead`. */
const MUTATION_TIMEOUT_SECONDS = 5;
/** Below the chart's terminationGracePeriodSeconds. */
const STOP_DEADLINE_MS = 10_000;
/** Passes of each loop that may run at once. */
const CONCURRENCY = { agents: 8, sessions: 32 };

/**
 * The controller: a standby keeps its caches warm, one leader at a time. Resolves after an orderly end;
 * rejects when the lease is lost, and the process must exit then.
 */
export async function runController(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const config = readConfig(env);
  const { keysSecret, gatewayKeysSecret, sealingKeysConfigMap, ...supervisor } = config.supervisor;
  const logger = createLogger({ level: config.log.level, program: 'controller' });
  const registry = createRegistry({ version });
  const kitMetrics = new KubeMetrics(registry);
  const metrics = createControllerMetrics(registry);
  const identity = `${env['POD_NAME'] ?? hostname()}_${crypto.randomUUID().slice(0, 8)}`;
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();

  const settings = {
    userAgent: `bullpen-controller/${version}`,
    clock: systemClock,
    random: Math.random,
    metrics: kitMetrics,
    logger,
  };
  // The lease has connections of its own: its renewal must not wait behind anything else.
  const leaseApi = KubeClient.fromKubeConfig(kubeConfig, { ...settings, connections: 1 });
  const elector = new LeaderElector({
    api: leaseApi,
    lease: { namespace: config.namespace, name: config.leaderElection.leaseName },
    identity,
    clock: systemClock,
    random: Math.random,
    logger,
    metrics: kitMetrics,
  });
  const api = KubeClient.fromKubeConfig(kubeConfig, {
    ...settings,
    mutationTimeoutSeconds: MUTATION_TIMEOUT_SECONDS,
    guard: () => {
      if (!elector.holdsLease()) throw new Error('this replica does not hold the lease');
    },
  });
  const informers = createInformers({
    api,
    namespaces: config.watchNamespaces,
    clock: systemClock,
    random: Math.random,
    logger,
    metrics: kitMetrics,
  });
  const lifecycle = new Lifecycle({ clock: systemClock, logger, deadlineMs: STOP_DEADLINE_MS });
  lifecycle.add('connections', async () => {
    await Promise.all([api.close(), leaseApi.close()]);
  });
  const stopInformers = new AbortController();
  lifecycle.add('caches', () => stopInformers.abort());
  const startCaches = (): void => {
    for (const [, informer] of entriesOf(informers)) informer.start(stopInformers.signal);
  };

  const health = await startHealthServer({
    port: config.health.port,
    registry,
    live: [],
    ready: [{ name: 'caches', problem: () => cacheProblem({ ...informers }) }],
    logger,
  });
  lifecycle.add('health', () => health.close());
  const events = new EventRecorder({
    api,
    controller: 'bullpen.dev/controller',
    instance: identity,
    clock: systemClock,
    logger,
    metrics: kitMetrics,
  });
  const keeping = { api, kidsInUse: () => kidsInUse(informers.pods), clock: systemClock, logger };
  const { namespace } = config;
  const keys = new KeyRing({ ...keeping, secret: { namespace, name: keysSecret } });
  const gatewayKeys = new KeyKeeper({
    ...keeping,
    secret: { namespace, name: gatewayKeysSecret },
    purposes: ['signing'],
  });
  const publisher = new SealingKeyPublisher({
    api,
    map: { namespace, name: sealingKeysConfigMap },
    keys: () => keys.sealingKeys,
    clock: systemClock,
    logger,
  });
  logger.info({ identity, port: health.port, version }, 'started; waiting for the lease');
  try {
    await elector.run({
      signal,
      // Whoever leads at once needs one list for all it has to know: the one that starts with it.
      onStandby: startCaches,
      onLeading: (leading, handover) => {
        startCaches();
        return lead(
          {
            api,
            informers,
            events,
            keys,
            gatewayKeys,
            publisher,
            callSupervisor,
            platform: { policy: config.sessionPods, supervisor },
            networkPolicy: config.networkPolicy.sessions,
            concurrency: CONCURRENCY,
            mutationTimeoutMs: MUTATION_TIMEOUT_SECONDS * 1000,
            metrics,
            kitMetrics,
            clock: systemClock,
            random: Math.random,
            logger,
          },
          leading,
          handover,
        );
      },
    });
  } finally {
    await lifecycle.run(AbortSignal.abort());
  }
  logger.info({}, 'stopped');
}

function entriesOf(informers: Informers): [name: string, informer: Informers[keyof Informers]][] {
  return Object.entries(informers) as [string, Informers[keyof Informers]][];
}
