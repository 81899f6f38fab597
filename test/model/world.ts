import { agents, sessions } from '../../src/api/resources.ts';
import { FakeClock } from '../../src/kube/testing/fake-clock.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { labels } from '../../src/api/names.ts';
import { ApiServer, isPodCommit, type Commit } from './api-server.ts';
import { Cluster } from './cluster.ts';
import { Kubelet, type Workload } from './kubelet.ts';
import { Happenings, type Moment } from './telling.ts';
import type { HttpWorld } from './http-pod.ts';
import { Lease } from './lease.ts';
import type { Request } from './network.ts';
import { seeded } from '../support/random.ts';
import { PodNetwork } from './pod-network.ts';
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
  /** Whether agents of protocol Http become ready. */
  agentsBoot = true;
  readonly podNetwork = new PodNetwork(NODES);
  readonly happenings = new Happenings();
  /** The first thing that went wrong. */
  failure: Error | undefined;

  readonly #setting: Setting;

  constructor(setting: Setting) {
    const { clock } = this;
    this.#setting = setting;
    const http = this.#http(setting);
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
          http,
        }),
      ]),
    );
    for (const node of NODES) this.cluster.addNode(node);
    this.server.subscribe((commit) => this.#noteMoment(commit));
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

  /** What the agent of a Session does. */
  workloadOf(sessionUid: string): Workload {
    const crashes = byTurns(this.#setting.http?.crashes ?? [], sessionUid) ?? false;
    const workload = this.workloads.get(sessionUid);
    return { ...(workload ?? { startMs: 1, runMs: 1, exitCode: 0, goodbyeMs: 1 }), crashes };
  }

  #workloadOf(pod: Pod): Workload {
    return this.workloadOf(pod.metadata.labels?.[labels.sessionUid] ?? '');
  }

  #http({ http = { bootMs: [100], startMs: { agent: 50, supervisor: 50 }, crashes: [] } }: Setting): HttpWorld {
    return {
      startMs: http.startMs,
      bootMs: (podUid) => byTurns(http.bootMs, podUid) ?? 0,
      imagesCanBePulled: () => this.imagesCanBePulled,
      agentsBoot: () => this.agentsBoot,
      workloadOf: (sessionUid) => this.workloadOf(sessionUid),
      onBound: (podUid, sessionUid) => {
        this.happenings.bound.set(podUid, sessionUid);
        this.happenings.moment('bound', `${podUid} to ${sessionUid}`);
      },
      onTold: (podUid, sessionUid) => {
        try {
          this.happenings.told({ podUid, sessionUid, at: this.clock.now() });
        } catch (error) {
          this.fail(error);
        }
      },
      pods: this.podNetwork,
    };
  }

  /** Of requests to the API server: when they leave. */
  #noteRequest(request: Request): void {
    this.requests.push(request);
    const { verb, plural, name, status } = request;
    const moment = (what: Moment): void => this.happenings.moment(what, `${name} by ${request.by}`);
    if (verb === 'patch' && plural === 'sessions' && status) moment('statusSent');
    if (plural !== 'pods') return;
    if (verb === 'create') moment('createSent');
    const pod = verb === 'patch' ? this.server.find(pods, { namespace: NAMESPACE, name }) : undefined;
    if (pod?.metadata.labels?.[labels.state] === 'warm') moment('claimSent');
  }

  /** Of requests to the API server: when they have been carried out. */
  #noteMoment(commit: Commit): void {
    if (commit.type !== 'MODIFIED' || !World.isController(commit.by)) return;
    const { name } = commit.object.metadata;
    if (commit.resource.plural === 'sessions') this.happenings.moment('statusDone', name);
    if (!isPodCommit(commit)) return;
    const { labels: before } = commit.old?.metadata ?? {};
    if (before?.[labels.state] === 'warm' && commit.object.metadata.labels?.[labels.state] === 'busy')
      this.happenings.moment('claimDone', name);
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
      onRequest: (request) => this.#noteRequest(request),
      pods: this.podNetwork,
      onCall: (what, method) => {
        if (method === 'PUT') this.happenings.moment(what === 'sent' ? 'bindSent' : 'bindDone', `by ${number}`);
        else if (what === 'sent') this.happenings.moment('stopSent', `by ${number}`);
      },
      onBug: (error) => this.fail(error),
    });
    this.replicas.push(replica);
    return replica;
  }
}

/** Of a list, the entry whose turn it is; uids end with a number. */
function byTurns<T>(list: readonly T[], uid: string): T | undefined {
  return list[Number(uid.replace(/\D/g, '')) % list.length];
}
