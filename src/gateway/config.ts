import { z } from 'zod';
import { readConfigAs } from '../config/read-config.ts';
import { iceServer } from './routes/fields.ts';

const rate = (least: { perSecond: number; burst: number }) =>
  z
    .strictObject({
      perSecond: z.number().positive().default(least.perSecond),
      burst: z.int().min(1).default(least.burst),
    })
    .prefault({});

/** What the gateway is told by its environment: `BULLPEN_CONFIG`, one JSON object that the chart writes. Unknown keys are refused. */
const configSchema = z.strictObject({
  /** The gateway's own namespace: the controller publishes its key here. */
  namespace: z.string(),
  /** Namespaces in which Agents and Sessions are served; all, when empty. */
  watchNamespaces: z.array(z.string()).default([]),
  /** Port of the REST API. */
  http: z
    .strictObject({
      port: z.int().min(0).max(65535).default(8000),
      /** How many proxies in front of it may say who calls, by X-Forwarded-For. */
      trustedProxies: z.int().min(0).max(16).default(0),
    })
    .prefault({}),
  /** Holds every reply against its schema, and answers 500 where it does not fit: for tests. */
  checkReplies: z.boolean().default(false),
  /** Requests that are served: of one key or user, and of one address without a good key. */
  rates: z
    .strictObject({ caller: rate({ perSecond: 200, burst: 1000 }), address: rate({ perSecond: 20, burst: 200 }) })
    .prefault({}),
  /** Port of /healthz, /readyz and /metrics. */
  health: z.strictObject({ port: z.int().min(0).max(65535).default(8080) }).prefault({}),
  log: z
    .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info') })
    .prefault({}),
  /** The ConfigMap in which the controller publishes the key that seals. */
  sealingKeysConfigMap: z.string().default('bullpen-sealing-keys'),
  /** The Secret of the keys that the controller makes for the gateway. */
  keysSecret: z.string().default('bullpen-gateway-keys'),
  daily: z.strictObject({ baseUrl: z.url().default('https://api.daily.co/v1') }).prefault({}),
  /** What a start with `enableDefaultIceServers` returns. */
  iceServers: z.array(iceServer).default([{ urls: ['stun:stun.l.google.com:19302'] }]),
  start: z
    .strictObject({
      /** How long whoever starts a session waits at most. */
      timeoutSeconds: z.int().min(1).max(240).default(30),
    })
    .prefault({}),
});

export type GatewayConfig = z.output<typeof configSchema>;

/** Reads the configuration. Throws one error that names every problem. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  return readConfigAs(configSchema, env);
}
