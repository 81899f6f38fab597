import { KubeConfig } from '@kubernetes/client-node';
import { createInformers, type Informers } from '../gateway/caches.ts';
import { readConfig } from '../gateway/config.ts';
import { GatewayKeys } from '../gateway/gateway-keys.ts';
import { createGateway } from '../gateway/gateway.ts';
import { startHttpServer } from '../gateway/http/server.ts';
import { systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/client.ts';
import { Lifecycle } from '../kube/lifecycle.ts';
import { KubeMetrics } from '../kube/metrics.ts';
import { createGatewayMetrics } from '../telemetry/gateway-metrics.ts';
import { startHealthServer } from '../telemetry/http.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createRegistry } from '../telemetry/metrics.ts';
import { version } from '../version.ts';
import { cacheProblem } from './cache-problem.ts';

/** Until those who route to this replica know that it ends. */
const DRAIN_MS = 5_000;
/** After what was asked before that has had the time that it may take; together below the terminationGracePeriodSeconds of the chart. */
const LAST_MS = 10_000;
const CLOSE_MS = 5_000;

/** The gateway: the REST API. Any number of replicas. Resolves after an orderly end. */
export async function runGateway(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const config = readConfig(env);
  const logger = createLogger({ level: config.log.level, program: 'gateway' });
  const registry = createRegistry({ version });
  const kubeMetrics = new KubeMetrics(registry);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const common = { clock: systemClock, random: Math.random, metrics: kubeMetrics, logger };
  const api = KubeClient.fromKubeConfig(kubeConfig, { ...common, userAgent: `bullpen-gateway/${version}` });
  const { namespace, watchNamespaces, sealingKeysConfigMap, keysSecret } = config;
  const informers = createInformers({ ...common, api, namespace, watchNamespaces, sealingKeysConfigMap });

  const graceMs = config.start.timeoutSeconds * 1000 + LAST_MS;
  const lifecycle = new Lifecycle({ clock: systemClock, logger, deadlineMs: DRAIN_MS + graceMs + CLOSE_MS });
  const stopInformers = new AbortController();
  lifecycle.add('connections', () => api.close());
  lifecycle.add('caches', () => stopInformers.abort());
  const health = await startHealthServer({
    port: config.health.port,
    registry,
    live: [],
    ready: [
      { name: 'caches', problem: () => cacheProblem({ ...informers }) },
      { name: 'running', problem: () => (signal.aborted ? 'it ends' : undefined) },
    ],
    logger,
  });
  lifecycle.add('health', () => health.close());
  try {
    const all = Object.values(informers) as Informers[keyof Informers][];
    for (const informer of all) informer.start(stopInformers.signal);
    // A key that is not known yet would be refused.
    await Promise.all(all.map((informer) => informer.whenSynced(signal)));
    const keys = new GatewayKeys({ api, secret: { namespace, name: keysSecret }, clock: systemClock, logger });
    // Nor can a start with an Idempotency-Key be answered without these. Where the controller has yet to make them, it may take a while.
    await keys.look(signal);
    void keys.run(stopInformers.signal);
    const app = createGateway({
      api,
      logs: api,
      informers,
      secrets: () => keys.secrets,
      stopping: signal,
      ending: stopInformers.signal,
      served: watchNamespaces,
      startTimeoutMs: config.start.timeoutSeconds * 1000,
      rates: config.rates,
      checkReplies: config.checkReplies,
      dailyUrl: config.daily.baseUrl,
      iceServers: config.iceServers,
      trustedProxies: config.http.trustedProxies,
      version,
      clock: systemClock,
      metrics: createGatewayMetrics(registry),
      logger,
    });
    const server = await startHttpServer(app, { port: config.http.port, clock: systemClock });
    lifecycle.add('http', () => server.close({ drainMs: DRAIN_MS, graceMs }));
    logger.info({ port: server.port, health: health.port, version }, 'serving');
    await lifecycle.run(signal);
  } catch (error) {
    await lifecycle.run(AbortSignal.abort());
    if (!signal.aborted) throw error;
  }
  logger.info({}, 'stopped');
}
