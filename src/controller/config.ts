import { z } from 'zod';
import { readConfigAs } from '../config/read-config.ts';

/**
 * What the controller is told by its environment: `BULLPEN_CONFIG`, one JSON object that the chart writes. Unknown
 * keys are refused, so that a misspelt setting is an error and not a silent default.
 */
const configSchema = z.strictObject({
  /** The controller's own namespace: its lease is here. */
  namespace: z.string(),
  /** Namespaces in which Agents and Sessions are served; all, when empty. */
  watchNamespaces: z.array(z.string()).default([]),
  leaderElection: z.strictObject({ leaseName: z.string().default('bullpen-controller') }).prefault({}),
  /** Port of /healthz, /readyz and /metrics. */
  health: z.strictObject({ port: z.int().min(0).max(65535).default(8080) }).prefault({}),
  log: z
    .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info') })
    .prefault({}),
  sessionPods: z
    .strictObject({
      allowHostNamespaces: z.boolean().default(false),
      allowHostPath: z.boolean().default(false),
      allowServiceAccountToken: z.boolean().default(false),
      allowPrivileged: z.boolean().default(false),
      runAsNonRoot: z.boolean().default(false),
    })
    .prefault({}),
  /** What is beside the agent in pods of protocol Http. */
  supervisor: z
    .strictObject({
      /** Bullpen's own image; without it, protocol Http is not supported. */
      image: z.string().default(''),
      imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
      /** Names of Secrets in the namespaces of Agents. */
      imagePullSecrets: z.array(z.string()).default([]),
      resources: z.record(z.string(), z.unknown()).default({}),
      /** The Secret, in the controller's own namespace, of the keys that it signs with what it asks of supervisors. */
      keysSecret: z.string().default('bullpen-controller-keys'),
      /** The Secret, there too, of the keys that the gateway signs with: the controller makes and keeps them, and uses none. */
      gatewayKeysSecret: z.string().default('bullpen-gateway-keys'),
      /** The ConfigMap, there too, in which it publishes the keys with which bodies are sealed for it. */
      sealingKeysConfigMap: z.string().default('bullpen-sealing-keys'),
    })
    .prefault({}),
  networkPolicy: z
    .strictObject({
      sessions: z
        .strictObject({
          enabled: z.boolean().default(true),
          /** Who may speak to supervisors: peers of a NetworkPolicy. */
          from: z.array(z.record(z.string(), z.unknown())).default([]),
        })
        .prefault({}),
    })
    .prefault({}),
});

export type ControllerConfig = z.output<typeof configSchema>;

/** Reads the configuration. Throws one error that names every problem. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ControllerConfig {
  return readConfigAs(configSchema, env);
}
