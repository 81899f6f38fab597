/** A number that a manifest may set: the least and the greatest value allowed, and the value when it says nothing. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

const hour = 3600;
const day = 24 * hour;

/** Numbers of an Agent. Times are seconds. */
export const agentLimits = {
  port: { min: 1, max: 65_535, default: 8080 },
  maxSessionDuration: { min: 60, max: 4 * hour, default: 2 * hour },
  minAgents: { min: 0, max: 1000, default: 0 },
  maxAgents: { min: 0, max: 5000, default: 50 },
  bufferPercent: { min: 0, max: 1000, default: 0 },
  bufferCount: { min: 0, max: 1000, default: 0 },
  cooldownSeconds: { min: 0, max: hour, default: 300 },
  queueTimeoutSeconds: { min: 1, max: hour, default: 60 },
  startTimeoutSeconds: { min: 1, max: hour, default: 120 },
  nodeLostAfterSeconds: { min: 0, max: day, default: 300 },
  /** Not 0: to Kubernetes that is a deletion by force, which says nothing about whether the agent has ended. */
  terminationGracePeriodSeconds: { min: 1, max: hour, default: 10 },
  retainedPodSeconds: { min: 0, max: 30 * day, default: hour },
  retainedPods: { min: 0, max: 1000, default: 100 },
  retainedSessionSeconds: { min: 0, max: 30 * day, default: day },
  retainedSessions: { min: 0, max: 10_000, default: 1000 },
} as const satisfies Record<string, Bounds>;

/** Numbers of a Session. They have no defaults: what is not set comes from the Agent, or does not happen. */
export const sessionLimits = {
  /** Seconds. A Session may only shorten what its Agent allows, so it may go below the Agent's least value. */
  maxSessionDuration: { min: 1, max: 4 * hour },
  /** Seconds, as wide as in a Job. */
  ttlSecondsAfterFinished: { min: 0, max: 2_147_483_647 },
  /** Characters (Unicode code points). More than that belongs into a Secret: see `bodyFrom`. */
  bodyCharacters: 8192,
  /** Bytes. The body of a WebSocket session is part of an address. */
  webSocketBodyBytes: 4096,
  /** A body of 8 KiB and its headers, sealed: a third longer, and who it is for. */
  sealedBodyCharacters: 20_000,
} as const;

/** Sizes that bound what one object can hold, and with that what a validation rule can cost. */
export const sizes = {
  image: 1024,
  arguments: 256,
  /** Linux' longest single argument or environment variable is 128 KiB. */
  argumentCharacters: 131_072,
  env: 256,
  envFrom: 64,
  templateLabels: 64,
  templateAnnotations: 64,
  dnsSubdomain: 253,
  qualifiedName: 317,
  conditions: 16,
  /** As in Kubernetes' own conditions. A writer cuts longer texts; the server would refuse the whole status. */
  message: 32_768,
} as const;

/** What a profile gives a session: requests and limits of the container `agent`. */
export interface Profile {
  readonly cpu: string;
  readonly memory: string;
}

/** Resources by profile. A pod template that sets resources for the container `agent` wins over these. */
export const profiles = {
  'agent-1x': { cpu: '500m', memory: '1Gi' },
  'agent-2x': { cpu: '1', memory: '2Gi' },
  'agent-3x': { cpu: '1500m', memory: '3Gi' },
} as const satisfies Record<string, Profile>;
