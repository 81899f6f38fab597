import { agents, sessions } from '../../src/api/resources.ts';
import { FakeClock } from '../../src/kube/testing/fake-clock.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { labels } from '../../src/api/names.ts';
import { ApiServer } from './api-server.ts';
import { Cluster } from './cluster.ts';
import { Kubelet, type Workload } from './kubelet.ts';
import { Lease } from './lease.ts';
import type { Request } from './network.ts';
import { seeded } from '../support/random.ts';
import { Replica } from './replica.ts';
import type { Setting } from './scenario.ts';
import { Truth } from './truth.ts';

export const NAMESPACE = 'team-a';
export const AGENT = 'echo';
export const NODES = ['node-1', 'node-2'];
/** Replicas of the controller have this in their names; nobody else who writes has. */
const CONTROLLER = 'controller-';

/** A cluster with two nodes and the controller's replicas, in virtual time. Nothing in it happens by itself but through `advance`. */
export class World {
  readonly clock = new FakeClock();
  readonly server: ApiServer;
  readonly cluster: Cluster;
  readonly kubelets: ReadonlyMap<string, Kubelet>;
  readonly lease: Lease;
  readonly truth = new Truth();
  readonly replicas: Replica[] = [];
  /** Mutations that left the controllers. */
  readonly requests: Request[] = [];
  /** By the uid of the Session. */
  readonly workloads = new Map<string, Workload>();
  imagesCanBePulled = true;
  /** The first thing that went wrong. */
  failure: Error | undefined;

  constructor(setting: Setting) {
    const { clock } = this;
    this.server = new ApiServer(() => clock.now());
    this.cluster = new Cluster({ server: this.server, clock, ...setting });
    this.kubelets = new Map(
      NODES.map((node) => [
        node,
        new Kubelet({
          server: this.server,
          clock,
          node,
          ...setting.kubelet,
          workloadOf: (pod) => this.#workloadOf(pod),
          imagesCanBePulled: () => this.imagesCanBePulled,
        }),
      ]),
    );
    for (const node of NODES) this.cluster.addNode(node);
    this.lease = new Lease({ clock, makeReplica: () => this.#makeReplica(setting) });
  }

  static isController(by: string): boolean {
    return by.startsWith(CONTROLLER);
  }

  /** Lets time pass. Throws the first failure that was found meanwhile. */
  async advance(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
    if (this.failure !== undefined) throw this.failure;
  }

  /** Notes that something went wrong; the run ends with it. */
  fail(error: unknown): void {
    this.failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** Ends everything, so that nothing of this world lives on. */
  end(): void {
    for (const replica of this.replicas) replica.kill();
  }

  agent() {
    return this.server.find(agents, { namespace: NAMESPACE, name: AGENT });
  }

  sessions() {
    return this.server.list(sessions);
  }

  pods(): Pod[] {
    return this.server.list(pods);
  }

  #workloadOf(pod: Pod): Workload {
    const workload = this.workloads.get(pod.metadata.labels?.[labels.sessionUid] ?? '');
    return workload ?? { startMs: 1, runMs: 1, exitCode: 0, goodbyeMs: 1 };
  }

  #makeReplica(setting: Setting): Replica {
    const number = this.replicas.length + 1;
    const skews = setting.replicaSkewsMs;
    const replica = new Replica({
      name: `${CONTROLLER}${number}`,
      server: this.server,
      clock: this.clock,
      skewMs: skews[number % skews.length] ?? 0,
      random: seeded(setting.seed + number),
      latencies: setting.latencies,
      mayWrite: (asking) => this.lease.mayWrite(asking),
      onRequest: (request) => this.requests.push(request),
      onBug: (error) => this.fail(error),
    });
    this.replicas.push(replica);
    return replica;
  }
}
