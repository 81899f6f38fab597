import { Registry } from 'prom-client';
import { createInformers, type Informers } from '../../src/controller/informers.ts';
import { lead } from '../../src/controller/leader.ts';
import type { Clock } from '../../src/kube/clock.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { EventRecorder } from '../../src/kube/events.ts';
import type { Logger } from '../../src/kube/logger.ts';
import { KubeMetrics } from '../../src/kube/metrics.ts';
import { STRICT_POLICY } from '../../src/pods/policy.ts';
import type { ApiServer } from './api-server.ts';
import { ModelClient } from './client.ts';
import { RecordingMetrics } from './metrics.ts';
import { modelKeys, noGatewayKeys, noPublisher } from './model-keys.ts';
import { MUTATION_TIMEOUT_MS, Network, type Request } from './network.ts';
import { modelCallSupervisor, type PodNetwork } from './pod-network.ts';
import { Process } from './process.ts';

export interface ReplicaDeps {
  name: string;
  server: ApiServer;
  clock: Clock;
  skewMs: number;
  random: () => number;
  latencies: readonly (readonly [number, number])[];
  /** Whether this replica may write at this moment: it holds the lease, as far as it can know. */
  mayWrite: (replica: Replica) => boolean;
  onRequest: (request: Request) => void;
  pods: PodNetwork;
  /** Told when a request to a supervisor leaves, and when its answer arrives. */
  onCall: (what: 'sent' | 'done', method: 'PUT' | 'DELETE') => void;
  onBug: (error: unknown) => void;
}

/** One replica of the controller: the real informers and the real leader, on a process and a network that can be broken. */
export class Replica {
  readonly process: Process;
  readonly network: Network;
  readonly metrics = new RecordingMetrics();
  readonly #deps: ReplicaDeps;
  readonly #client: ModelClient;
  readonly #informers: Informers;
  readonly #kitMetrics = new KubeMetrics(new Registry());
  readonly #logger: Logger;
  readonly #leading = new AbortController();

  constructor(deps: ReplicaDeps) {
    const { server, clock, random, onRequest } = deps;
    this.#deps = deps;
    this.process = new Process(deps.name, clock, deps.skewMs);
    this.network = new Network(deps.latencies);
    this.#logger = bugLogger(deps.onBug);
    this.#client = new ModelClient({
      server,
      process: this.process,
      network: this.network,
      clock,
      mayWrite: () => deps.mayWrite(this),
      onRequest,
    });
    this.#informers = createInformers({
      api: this.#client,
      namespaces: [],
      clock: this.process.clock,
      random,
      logger: this.#logger,
      metrics: this.#kitMetrics,
    });
    // Never aborted: a process that is killed does nothing more, not even stop.
    const { signal } = new AbortController();
    for (const informer of Object.values(this.#informers) as Startable[]) informer.start(signal);
  }

  get name(): string {
    return this.process.name;
  }

  /** Leads until it is told to leave; resolves when it has left in good order. */
  async lead(cleanHandover: boolean): Promise<void> {
    try {
      await lead(
        {
          api: this.#client,
          informers: this.#informers,
          events: SILENT,
          keys: modelKeys(this.process.clock),
          gatewayKeys: noGatewayKeys,
          publisher: noPublisher,
          platform: PLATFORM,
          callSupervisor: modelCallSupervisor({ ...this.#deps, process: this.process, network: this.network }),
          networkPolicy: { enabled: true, from: [] },
          concurrency: { agents: 8, sessions: 32 },
          mutationTimeoutMs: MUTATION_TIMEOUT_MS,
          metrics: this.metrics,
          kitMetrics: this.#kitMetrics,
          clock: this.process.clock,
          random: this.#deps.random,
          logger: this.#logger,
        },
        this.#leading.signal,
        { cleanHandover },
      );
    } catch (error) {
      if (error !== this.#leading.signal.reason) this.#deps.onBug(error);
      throw error;
    }
  }

  /** Asks it to leave in good order, as SIGTERM does. */
  leave(): void {
    this.#leading.abort(new Error('told to stop'));
  }

  /** The end of the process, at once. Its requests that are under way arrive all the same. */
  kill(): void {
    this.process.kill();
    this.network.cut();
  }
}

interface Startable {
  start(signal: AbortSignal): void;
}

/** Events are for people; the tests are about what is decided. */
const SILENT = { event: () => undefined, stop: () => Promise.resolve() } as unknown as EventRecorder;

const PLATFORM = {
  policy: STRICT_POLICY,
  supervisor: { image: 'example/supervisor:1', imagePullPolicy: 'Never', imagePullSecrets: [], resources: {} },
} as const;

/** Failures of requests are part of the game; any other error is a bug. */
function bugLogger(onBug: (error: unknown) => void): Logger {
  const look = (fields: object): void => {
    const error = (fields as { err?: unknown }).err;
    if (error !== undefined && !(error instanceof KubeError || isExpected(error))) onBug(error);
  };
  return { debug: () => undefined, info: () => undefined, warn: look, error: look };
}

function isExpected(error: unknown): boolean {
  return error instanceof Error && /the watch ended at once|the server said nothing|told to stop/.test(error.message);
}
