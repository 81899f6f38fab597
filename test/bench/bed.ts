import { join } from 'node:path';
import { labels } from '../../src/api/names.ts';
import { Api, readApiAccess } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitFor } from '../cluster/wait.ts';
import { repository } from '../support/build.ts';
import { ControllerProcess } from '../support/controller-process.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import type { ProgramProcess } from '../support/program-process.ts';
import { AuditLog } from './audit-log.ts';
import { startFakeNodes, type BotCall, type FakeNodes } from './fake-nodes.ts';
import { benchAgent, benchSession, type AgentOptions } from './workload.ts';

const NAMESPACE = 'bench';
/** As many as the peers' benches play: the scheduler looks at all of them. */
const NODES = 100;

export interface BedOptions {
  log: (line: string) => void;
  /** Folder for CPU profiles of the controller and the gateway; none are made without it. */
  profileFolder?: string | undefined;
}

/** `fake`: many, played by a process. `real`: one, with a kubelet and containers on this machine. */
export type NodeKind = 'fake' | 'real';

/** A fresh control plane with nodes, and a client of the bench's own: it shares no code with what is measured. */
export class Bed {
  readonly cluster: Cluster;
  readonly api: Api;
  readonly log: (line: string) => void;
  readonly namespace = NAMESPACE;
  /** Paths of the collections. */
  readonly sessions = `/apis/bullpen.dev/v1alpha1/namespaces/${NAMESPACE}/sessions`;
  readonly pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  readonly agents = `/apis/bullpen.dev/v1alpha1/namespaces/${NAMESPACE}/agents`;
  /** Who wrote what. */
  readonly audit: AuditLog;
  readonly #nodes: FakeNodes | undefined;
  readonly #options: BedOptions;
  readonly #programs: ProgramProcess[] = [];

  private constructor(cluster: Cluster, api: Api, audit: AuditLog, nodes: FakeNodes | undefined, options: BedOptions) {
    this.cluster = cluster;
    this.api = api;
    this.audit = audit;
    this.#nodes = nodes;
    this.#options = options;
    this.log = options.log;
  }

  static async start(options: BedOptions, nodes: NodeKind = 'fake'): Promise<Bed> {
    const audit = await AuditLog.prepare();
    const cluster = await startCluster({
      size: nodes === 'real' ? 'node' : 'control-plane',
      providers: ['binaries'],
      log: options.log,
      apiServerArgs: audit.apiServerArgs,
    });
    try {
      await cluster.kubectl(['apply', '-f', join(repository, 'crds')]);
      await cluster.kubectl(['wait', '--for=condition=Established', '-f', join(repository, 'crds')]);
      await cluster.kubectl(['create', 'namespace', NAMESPACE]);
      const api = new Api(await readApiAccess(cluster.kubeconfig), 'bullpen-bench', 32);
      await waitFor(() => api.call('GET', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`), {
        what: 'the default service account',
        timeoutMs: 30_000,
      });
      const played = nodes === 'real' ? undefined : await startFakeNodes(cluster.kubeconfig, NODES, NAMESPACE);
      return new Bed(cluster, api, audit, played, options);
    } catch (error) {
      await cluster.stop();
      await audit.remove();
      throw error;
    }
  }

  /** Spawns a controller; resolves when it runs, not when it leads. */
  async spawnController(): Promise<ControllerProcess> {
    const controller = await ControllerProcess.start(this.cluster, { namespace: NAMESPACE, env: this.#env });
    this.#programs.push(controller);
    return controller;
  }

  async startController(): Promise<ControllerProcess> {
    const controller = await this.spawnController();
    await controller.log('leading');
    return controller;
  }

  /** Starts a gateway; resolves when it serves. */
  async startGateway(): Promise<GatewayProcess> {
    // Replies are held against their schemas in tests only.
    const options = { namespace: NAMESPACE, watchNamespaces: [NAMESPACE], config: { checkReplies: false } };
    const gateway = await GatewayProcess.start(this.cluster, { ...options, env: this.#env });
    this.#programs.push(gateway);
    return gateway;
  }

  async createAgent(options: AgentOptions): Promise<void> {
    await this.api.text('POST', this.agents, benchAgent(options));
    const isReady = async (): Promise<boolean> => {
      const agent = await this.api.call<Conditioned>('GET', `${this.agents}/${options.name}`);
      return agent.status?.conditions?.some(isTrue('Ready')) ?? false;
    };
    await waitFor(isReady, { what: `Agent ${options.name} to be ready`, timeoutMs: 30_000 });
  }

  /** Deletes an Agent; resolves when its pods are gone. */
  async deleteAgent(name: string): Promise<void> {
    await this.api.text('DELETE', `${this.agents}/${name}`);
    await this.rest(0);
  }

  async createSession(name: string, agent: string, body?: string): Promise<void> {
    await this.api.text('POST', this.sessions, benchSession(name, agent, body === undefined ? {} : { body }));
  }

  /** Resolves when nothing is left but so many pods, ready and waiting for Sessions. */
  async rest(warm: number): Promise<void> {
    const rests = async (): Promise<boolean> => {
      if ((await this.#count('sessions')) > 0 || (await this.#count('pods')) !== warm) return false;
      return (await this.warmPods()).length === warm;
    };
    await waitFor(rests, { what: `nothing but ${warm} warm pods to be left`, timeoutMs: 120_000, intervalMs: 500 });
  }

  /** The pods that are ready and wait for a Session. */
  async warmPods(agent?: string): Promise<BedPod[]> {
    const selector = [`${labels.state}=warm`, ...(agent === undefined ? [] : [`${labels.agent}=${agent}`])].join(',');
    const { items } = await this.api.call<List>('GET', `${this.pods}?labelSelector=${encodeURIComponent(selector)}`);
    return items.filter(({ status }) => status?.conditions?.some(isTrue('Ready')));
  }

  /** The calls that agents on fake nodes got since the last time that this was asked: when, in wall-clock milliseconds. */
  async newBotCalls(): Promise<BotCall[]> {
    return (await this.#nodes?.newCalls()) ?? [];
  }

  /** Resolves when so many Sessions run. */
  async running(count: number): Promise<void> {
    const run = async (): Promise<boolean> => {
      const { items } = await this.api.call<{ items: { status?: { phase?: string } }[] }>('GET', this.sessions);
      return items.filter(({ status }) => status?.phase === 'Running').length === count;
    };
    await waitFor(run, { what: `${count} Sessions to run`, timeoutMs: 60_000, intervalMs: 500 });
  }

  /** Ends the gateways and the controllers in good order, then everything else. */
  async close(): Promise<void> {
    for (const program of this.#programs.toReversed()) await program.stop();
    await this.#nodes?.stop();
    await this.api.close();
    await this.cluster.stop();
    await this.audit.remove();
  }

  /** Of the programs that it starts. */
  get #env(): Record<string, string> {
    const folder = this.#options.profileFolder;
    return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` };
  }

  /** How many there are, without reading them all. */
  async #count(what: 'sessions' | 'pods'): Promise<number> {
    const { items, metadata } = await this.api.call<List>('GET', `${this[what]}?limit=1`);
    return items.length + (metadata.remainingItemCount ?? 0);
  }
}

/** As much of a pod as a bench looks at. */
export interface BedPod extends Conditioned {
  metadata: { name: string };
  status?: Conditioned['status'] & { containerStatuses?: { name: string; containerID?: string }[] };
}

interface Conditioned {
  status?: { conditions?: { type: string; status: string }[] };
}

interface List {
  items: BedPod[];
  metadata: { remainingItemCount?: number };
}

function isTrue(wanted: string) {
  return ({ type, status }: { type: string; status: string }): boolean => type === wanted && status === 'True';
}
