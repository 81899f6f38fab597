import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** One metric, as the documentation shows it. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, of histograms; seconds. */
  readonly buckets?: readonly number[];
}

/** client-go's buckets for queues: ten times each, from 10 ns. Shorter than a microsecond means nothing here. */
const queueBuckets = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000] as const;

/**
 * Names, labels and meaning as in controller-runtime and client-go, so that their dashboards and alerts work unchanged.
 */
const definitions = {
  reconcileTotal: {
    type: 'counter',
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciliations by controller and result (success, requeue_after, error).',
    labels: ['controller', 'result'],
  },
  reconcileErrors: {
    type: 'counter',
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Reconciliations that failed, terminal failures included.',
    labels: ['controller'],
  },
  terminalReconcileErrors: {
    type: 'counter',
    name: 'controller_runtime_terminal_reconcile_errors_total',
    help: 'Reconciliations that failed in a way that no retry can mend.',
    labels: ['controller'],
  },
  reconcileTime: {
    type: 'histogram',
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'How long one reconciliation took.',
    labels: ['controller'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  maxConcurrentReconciles: {
    type: 'gauge',
    name: 'controller_runtime_max_concurrent_reconciles',
    help: 'How many reconciliations may run at once.',
    labels: ['controller'],
  },
  activeWorkers: {
    type: 'gauge',
    name: 'controller_runtime_active_workers',
    help: 'How many reconciliations are running.',
    labels: ['controller'],
  },
  queueDepth: { type: 'gauge', name: 'workqueue_depth', help: 'Keys that wait for a worker.', labels: ['name'] },
  queueAdds: { type: 'counter', name: 'workqueue_adds_total', help: 'Keys that entered the queue.', labels: ['name'] },
  queueDuration: {
    type: 'histogram',
    name: 'workqueue_queue_duration_seconds',
    help: 'How long a key waited for a worker.',
    labels: ['name'],
    buckets: queueBuckets,
  },
  workDuration: {
    type: 'histogram',
    name: 'workqueue_work_duration_seconds',
    help: 'How long a worker was busy with a key.',
    labels: ['name'],
    buckets: queueBuckets,
  },
  unfinishedWork: {
    type: 'gauge',
    name: 'workqueue_unfinished_work_seconds',
    help: 'Sum of the time that keys now in work have been so. Growing steadily means a stuck worker.',
    labels: ['name'],
  },
  longestRunning: {
    type: 'gauge',
    name: 'workqueue_longest_running_processor_seconds',
    help: 'How long the slowest worker has been busy with its key.',
    labels: ['name'],
  },
  queueRetries: {
    type: 'counter',
    name: 'workqueue_retries_total',
    help: 'Keys that were added again with a delay after a failure.',
    labels: ['name'],
  },
  requests: {
    type: 'counter',
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by HTTP status (<error> when there was no answer), method and host. Retries count.',
    labels: ['code', 'method', 'host'],
  },
  requestDuration: {
    type: 'histogram',
    name: 'rest_client_request_duration_seconds',
    help: 'How long a request to the API server took, the wait for a connection included; watches until they begin.',
    labels: ['verb', 'host'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
  },
  leader: {
    type: 'gauge',
    name: 'leader_election_master_status',
    help: '1 while this process holds the lease, else 0.',
    labels: ['name'],
  },
  informerAge: {
    type: 'gauge',
    name: 'bullpen_informer_last_activity_age_seconds',
    help: 'Time since the API server last said anything about the resource. A quiet watch hears a bookmark every minute.',
    labels: ['resource'],
  },
  informerRefused: {
    type: 'gauge',
    name: 'bullpen_informer_refused_namespaces',
    help: 'Namespaces that the API server refuses to list, for example because they were deleted with the rights in them. Nothing is decided there.',
    labels: ['resource'],
  },
  informerObjects: {
    type: 'gauge',
    name: 'bullpen_informer_objects',
    help: 'Objects in the cache.',
    labels: ['resource'],
  },
  informerLists: {
    type: 'counter',
    name: 'bullpen_informer_lists_total',
    help: 'Complete lists by what caused them (initial, expired, broken, silent, refused, requested).',
    labels: ['resource', 'cause'],
  },
  informerFailures: {
    type: 'counter',
    name: 'bullpen_informer_failures_total',
    help: 'Lists and watches that failed; each is tried again.',
    labels: ['resource'],
  },
  events: {
    type: 'counter',
    name: 'bullpen_kubernetes_events_total',
    help: 'Kubernetes Events by what became of them (written, dropped, failed).',
    labels: ['outcome'],
  },
} as const satisfies Record<string, MetricDefinition>;

/** Everything that the kit measures, for documentation and tests. */
export const kubeMetricCatalogue: readonly MetricDefinition[] = Object.values(definitions);

type Definitions = typeof definitions;
type Label<Key extends keyof Definitions> = Definitions[Key]['labels'][number];
type NamesOfType<Type> = {
  [Key in keyof Definitions]: Definitions[Key]['type'] extends Type ? Key : never;
}[keyof Definitions];

/** The kit's instruments in one registry. Make one and pass it to everything. */
export class KubeMetrics {
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  /** By gauge: what is asked at each scrape. */
  readonly #samplers = new Map<string, Set<(gauge: Gauge) => void>>();

  constructor(registry: Registry) {
    for (const [key, definition] of Object.entries<MetricDefinition>(definitions)) {
      const { name, help, labels, buckets } = definition;
      const common = { name, help, labelNames: [...labels], registers: [registry] };
      if (definition.type === 'counter') this.#counters.set(key, new Counter(common));
      else if (definition.type === 'histogram') {
        this.#histograms.set(key, new Histogram({ ...common, ...(buckets && { buckets: [...buckets] }) }));
      } else {
        const samplers = new Set<(gauge: Gauge) => void>();
        this.#samplers.set(key, samplers);
        const gauge: Gauge = new Gauge({ ...common, collect: () => samplers.forEach((sample) => sample(gauge)) });
        this.#gauges.set(key, gauge);
      }
    }
  }

  /** Adds one (or `by`) to a counter. */
  count<Key extends NamesOfType<'counter'>>(key: Key, labels: Record<Label<Key>, string>, by = 1): void {
    this.#counters.get(key)?.inc(labels, by);
  }

  /** Sets a gauge. */
  set<Key extends NamesOfType<'gauge'>>(key: Key, labels: Record<Label<Key>, string>, value: number): void {
    this.#gauges.get(key)?.set(labels, value);
  }

  /** Asks for a gauge's value at every scrape, until the returned function is called. */
  sample<Key extends NamesOfType<'gauge'>>(
    key: Key,
    labels: Record<Label<Key>, string>,
    read: () => number,
  ): () => void {
    const sampler = (gauge: Gauge): void => gauge.set(labels, read());
    this.#samplers.get(key)?.add(sampler);
    return () => {
      this.#samplers.get(key)?.delete(sampler);
      this.#gauges.get(key)?.remove(labels);
    };
  }

  /** Records a duration in seconds. */
  observe<Key extends NamesOfType<'histogram'>>(key: Key, labels: Record<Label<Key>, string>, seconds: number): void {
    this.#histograms.get(key)?.observe(labels, seconds);
  }
}
