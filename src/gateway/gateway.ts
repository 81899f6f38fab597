import type { Express } from 'express';
import type { KubeApi, PodLogs } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AgentDirectory } from './agents/agent-directory.ts';
import { AgentWriter } from './agents/agent-writer.ts';
import { DeploymentDirectory } from './agents/deployment-directory.ts';
import { AccessWatch } from './auth/access-watch.ts';
import { Authenticator } from './auth/authenticator.ts';
import { KubeTokens } from './auth/kube-tokens.ts';
import { Organizations } from './auth/organizations.ts';
import type { Informers } from './caches.ts';
import { createApp, type Rates } from './http/app.ts';
import { KeyUsage } from './keys/key-usage.ts';
import { KeyStore } from './keys/key-store.ts';
import { KeyWriter } from './keys/key-writer.ts';
import { openApiDocument } from './openapi/document.ts';
import { apiPage } from './openapi/page.ts';
import { allRoutes } from './routes/all-routes.ts';
import type { StartDeps } from './routes/start.ts';
import { SealingKey } from './sealing-key.ts';
import { LogFollower } from './logs/log-follower.ts';
import { LogReader } from './logs/log-reader.ts';
import { SecretSets } from './secrets/secret-sets.ts';
import { SessionDirectory } from './sessions/session-directory.ts';
import { BodyCarrier } from './start/body-carrier.ts';
import { Daily } from './start/daily.ts';
import { Rooms } from './start/rooms.ts';
import type { SharedSecret } from './start/idempotency.ts';
import { SessionChanges } from './start/session-changes.ts';
import { SessionStarter } from './start/session-starter.ts';
import { SessionWriter } from './start/session-writer.ts';

export interface GatewayDeps {
  api: KubeApi;
  logs: PodLogs;
  informers: Informers;
  /** What all replicas share and nobody else has, newest first. */
  secrets: () => readonly SharedSecret[];
  /** The namespaces that are served; all, when empty. */
  served: readonly string[];
  startTimeoutMs: number;
  rates: Rates;
  trustedProxies: number;
  /** Holds every reply against its schema, for tests. */
  checkReplies: boolean;
  /** Of Daily's REST API. */
  dailyUrl: string;
  iceServers: StartDeps['iceServers'];
  version: string;
  /** Aborted when the process is to end, and when it ends. */
  stopping: AbortSignal;
  ending: AbortSignal;
  clock: Clock;
  metrics: GatewayMetrics;
  logger: Logger;
}

/** The REST API on top of what the informers show. */
export function createGateway(deps: GatewayDeps): Express {
  const {
    api,
    logs,
    informers,
    served,
    startTimeoutMs,
    rates,
    trustedProxies,
    checkReplies,
    dailyUrl,
    iceServers,
    version,
    stopping,
    ending,
    clock,
    metrics,
    logger,
  } = deps;
  const sessions = informers.sessions.store;
  const keys = new KeyStore(informers.keys.store);
  const sealing = new SealingKey(informers.sealingKeys.store);
  const usage = new KeyUsage({ api, clock, logger });
  void usage.run(ending);
  const tokens = new KubeTokens({ api, clock });
  const authenticator = new Authenticator({ keys, tokens, onUse: (key) => usage.used(key) });
  const agents = new AgentDirectory({ api, agents: informers.agents.store });
  const changes = new SessionChanges(sessions);
  const carrier = new BodyCarrier({ api, changes, key: () => sealing.current, logger });
  void carrier.resume(sessions.list(), clock.now(), ending);
  const writer = new SessionWriter({ api, clock, logger, ending });
  const starter = new SessionStarter({ api, sessions, changes, carrier, writer, clock, ending });
  const daily = new Daily({ baseUrl: dailyUrl, fetch: globalThis.fetch, now: () => clock.now() });
  const rooms = new Rooms({ api, daily });
  const directory = new SessionDirectory({ api, sessions });
  const secrets = new SecretSets({ api });
  const routes = allRoutes({
    start: { agents, starter, rooms, iceServers, secrets: deps.secrets, clock, metrics, timeoutMs: startTimeoutMs },
    agents: { directory: agents, writer: new AgentWriter({ api, directory: agents, secrets, clock }), sessions, clock },
    deployments: { agents, directory: new DeploymentDirectory({ api }) },
    sessions: { directory, agents },
    logs: {
      reader: new LogReader({ api, logs, clock, stopping }),
      follower: new LogFollower({ api, logs, changes }),
      sessions: directory,
      agents,
    },
    secrets,
    organizations: {
      keys,
      writer: new KeyWriter({ api, keys: informers.keys.store }),
      organizations: new Organizations({ api, tokens, served, clock }),
    },
  });
  const document = openApiDocument(routes, version);
  return createApp({
    routes,
    authenticator,
    access: new AccessWatch({ authenticator, keys, clock }),
    metrics,
    stopping,
    rates,
    trustedProxies,
    checkReplies,
    documents: { json: document, html: apiPage(document) },
    logger,
    clock,
  });
}
