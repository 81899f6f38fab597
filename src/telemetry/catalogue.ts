import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** One metric, as it is registered and as `docs/metrics.md` prints it. */
export interface MetricDefinition {
  /** Prometheus' conventions: base units, `_total` for counters, `_seconds` for times. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Names of labels, each explained in {@link labelMeanings}. Only bounded values: never a Session's name. */
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, in the metric's unit. */
  readonly buckets?: readonly number[];
}

export type Catalogue = Readonly<Record<string, MetricDefinition>>;

/** Metrics of Sessions and Agents, kept by the controller that leads. */
export const controllerCatalogue = {
  sessionSeconds: {
    name: 'bullpen_session_seconds_total',
    type: 'counter',
    help: "Usage: seconds of ended Sessions, from the moment a node took their pod to the end of its last container, by the node's clock.",
    labels: ['namespace', 'agent'],
  },
  sessions: {
    name: 'bullpen_sessions_total',
    type: 'counter',
    help: 'Sessions that reached their end, by how they ended and how they started.',
    labels: ['namespace', 'agent', 'outcome', 'start'],
  },
  sessionsRejected: {
    name: 'bullpen_sessions_rejected_total',
    type: 'counter',
    help: 'Sessions that were refused, by reason. They are in bullpen_sessions_total too, as Rejected.',
    labels: ['namespace', 'agent', 'reason'],
  },
  agentActiveSessions: {
    name: 'bullpen_agent_active_sessions',
    type: 'gauge',
    help: 'Sessions admitted and not yet ended; those that are stopping count.',
    labels: ['namespace', 'agent'],
  },
  agentQueuedSessions: {
    name: 'bullpen_agent_queued_sessions',
    type: 'gauge',
    help: 'Sessions that wait for capacity.',
    labels: ['namespace', 'agent'],
  },
  agentWarmPods: {
    name: 'bullpen_agent_warm_pods',
    type: 'gauge',
    help: 'Pods that are ready and wait for a Session.',
    labels: ['namespace', 'agent'],
  },
  agentMaxAgents: {
    name: 'bullpen_agent_max_agents',
    type: 'gauge',
    help: 'The limit of the Agent, spec.scaling.maxAgents.',
    labels: ['namespace', 'agent'],
  },
  sessionStart: {
    name: 'bullpen_session_start_seconds',
    type: 'histogram',
    help: 'Time from the creation of a Session to its phase Running, time in the queue included. It begins when the controller sees the Session; for one that it has not seen come, with its creation time, which is a whole second.',
    labels: ['start'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600],
  },
  sessionWait: {
    name: 'bullpen_session_wait_seconds',
    type: 'histogram',
    help: 'Time in the queue of Sessions that had to wait for capacity, until admitted or refused.',
    labels: [],
    buckets: [0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600],
  },
  sessionOvertime: {
    name: 'bullpen_session_overtime_seconds',
    type: 'histogram',
    help: 'How far past its limit a Session ran when it was cut at the limit.',
    labels: [],
    buckets: [0, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300],
  },
  orphansRemoved: {
    name: 'bullpen_orphans_removed_total',
    type: 'counter',
    help: 'Objects of Bullpen that nothing accounts for any more, found and deleted.',
    labels: ['kind'],
  },
  finalizersReleased: {
    name: 'bullpen_finalizers_released_total',
    type: 'counter',
    help: 'Pods released because the end of their Session is recorded.',
    labels: [],
  },
} as const satisfies Catalogue;

/** Metrics of the REST API, of each replica of the gateway. */
export const gatewayCatalogue = {
  requests: {
    name: 'bullpen_gateway_requests_total',
    type: 'counter',
    help: 'Requests of the REST API that were answered, or whose caller had gone before that (code 499).',
    labels: ['route', 'method', 'code'],
  },
  requestDuration: {
    name: 'bullpen_gateway_request_duration_seconds',
    type: 'histogram',
    help: 'Time from the head of a request to the last byte of its answer. Logs that are followed take as long as somebody listens.',
    labels: ['route', 'method'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  requestsInFlight: {
    name: 'bullpen_gateway_requests_in_flight',
    type: 'gauge',
    help: 'Requests that are being answered now.',
    labels: [],
  },
  starts: {
    name: 'bullpen_gateway_start_seconds',
    type: 'histogram',
    help: 'Time from the request for a session to the answer that it has its pod. Its _count is the number of sessions that were started.',
    labels: ['start'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60],
  },
  startsRefused: {
    name: 'bullpen_gateway_starts_refused_total',
    type: 'counter',
    help: 'Requests for a session that were refused, by reason.',
    labels: ['reason'],
  },
} as const satisfies Catalogue;

/** Metrics of every program. */
export const programCatalogue = {
  buildInfo: {
    name: 'bullpen_build_info',
    type: 'gauge',
    help: 'Always 1; the label says which version runs.',
    labels: ['version'],
  },
} as const satisfies Catalogue;

/** What the labels of the catalogues mean, and which values they take. */
export const labelMeanings: Readonly<Record<string, string>> = {
  namespace: 'Namespace of the Agent.',
  agent: 'Name of the Agent; empty when a Session named one that does not exist.',
  outcome:
    'How the Session ended: `Completed`, `Failed`, `Stopped`, `DeadlineExceeded`, `StartTimeout`, `OutOfMemory`, `Lost`; or `Rejected`.',
  start:
    '`Warm`: a waiting pod was claimed. `Cold`: a pod was created. `None`: no pod was ever bound. The gateway says it as its answers do: `warm`, `cold`.',
  reason:
    'Why a Session was refused: the reason in its status, such as `AtCapacity`. At the gateway also what it refuses itself, such as `NotReady` or `TooLarge`, and `CallerGone`.',
  route: 'Pattern of the path, as in the OpenAPI document; empty when there is no such path.',
  method: 'Method of the request.',
  code: 'HTTP status of the answer.',
  kind: 'Kind of the object, such as `Pod`.',
  version: 'Version of Bullpen.',
};

type Instrument<D extends MetricDefinition> = D['type'] extends 'counter'
  ? Counter<D['labels'][number]>
  : D['type'] extends 'gauge'
    ? Gauge<D['labels'][number]>
    : Histogram<D['labels'][number]>;

/** One prom-client object for each definition of a catalogue, under the same key. */
export type Instruments<C extends Catalogue> = { readonly [K in keyof C]: Instrument<C[K]> };

/**
 * Registers every metric of `catalogue`. Throws when the registry already has one of these names.
 *
 * @param beforeRead called before each metric is read by a scrape
 */
export function registerCatalogue<C extends Catalogue>(
  catalogue: C,
  registry: Registry,
  beforeRead: () => void = () => undefined,
): Instruments<C> {
  const entries = Object.entries(catalogue).map(([key, definition]) => [
    key,
    instrument(definition, registry, beforeRead),
  ]);
  return Object.fromEntries(entries) as Instruments<C>;
}

function instrument(
  definition: MetricDefinition,
  registry: Registry,
  beforeRead: () => void,
): Counter | Gauge | Histogram {
  const { name, help, labels: labelNames, buckets } = definition;
  const options = { name, help, labelNames, registers: [registry], collect: beforeRead };
  switch (definition.type) {
    case 'counter':
      return new Counter(options);
    case 'gauge':
      return new Gauge(options);
    case 'histogram':
      return new Histogram(buckets === undefined ? options : { ...options, buckets: [...buckets] });
  }
}
