import { join } from 'node:path';
import { Api, readApiAccess } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitFor } from '../cluster/wait.ts';
import { repository } from '../support/build.ts';
import { ControllerProcess } from '../support/controller-process.ts';
import { startFakeNodes, type FakeNodes } from './fake-nodes.ts';
import { benchAgent, benchSession, type AgentOptions } from './workload.ts';

const NAMESPACE = 'bench';
/** As many as the peers' benches play: the scheduler looks at all of them. */
const NODES = 100;

export interface BedOptions {
  log: (line: string) => void;
  /** Folder for CPU profiles of the controller; none are made without it. */
  profileFolder?: string | undefined;
}

/** A fresh control plane with fake nodes, and a client of the bench's own: it shares no code with what is measured. */
export class Bed {
  readonly cluster: Cluster;
  readonly api: Api;
  readonly log: (line: string) => void;
  readonly namespace = NAMESPACE;
  /** Paths of the collections. */
  readonly sessions = `/apis/bullpen.dev/v1alpha1/namespaces/${NAMESPACE}/sessions`;
  readonly pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  readonly #nodes: FakeNodes;
  readonly #options: BedOptions;
  readonly #controllers: ControllerProcess[] = [];

  private constructor(cluster: Cluster, api: Api, nodes: FakeNodes, options: BedOptions) {
    this.cluster = cluster;
    this.api = api;
    this.#nodes = nodes;
    this.#options = options;
    this.log = options.log;
  }

  static async start(options: BedOptions): Promise<Bed> {
    const cluster = await startCluster({ size: 'control-plane', providers: ['binaries'], log: options.log });
    try {
      await cluster.kubectl(['apply', '-f', join(repository, 'crds')]);
      await cluster.kubectl(['wait', '--for=condition=Established', '-f', join(repository, 'crds')]);
      await cluster.kubectl(['create', 'namespace', NAMESPACE]);
      const api = new Api(await readApiAccess(cluster.kubeconfig), 'bullpen-bench', 32);
      await waitFor(() => api.call('GET', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`), {
        what: 'the default service account',
        timeoutMs: 30_000,
      });
      return new Bed(cluster, api, await startFakeNodes(cluster.kubeconfig, NODES), options);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Spawns a controller; resolves when it runs, not when it leads. */
  async spawnController(): Promise<ControllerProcess> {
    const folder = this.#options.profileFolder;
    const env: Record<string, string> =
      folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` };
    const controller = await ControllerProcess.start(this.cluster, { namespace: NAMESPACE, env });
    this.#controllers.push(controller);
    return controller;
  }

  async startController(): Promise<ControllerProcess> {
    const controller = await this.spawnController();
    await controller.log('leading');
    return controller;
  }

  async createAgent(options: AgentOptions): Promise<void> {
    const agents = `/apis/bullpen.dev/v1alpha1/namespaces/${NAMESPACE}/agents`;
    await this.api.text('POST', agents, benchAgent(options));
    const isReady = async (): Promise<boolean> => {
      const agent = await this.api.call<Conditioned>('GET', `${agents}/${options.name}`);
      return agent.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
    };
    await waitFor(isReady, { what: `Agent ${options.name} to be ready`, timeoutMs: 30_000 });
  }

  async createSession(name: string, agent: string): Promise<void> {
    await this.api.text('POST', this.sessions, benchSession(name, agent));
  }

  /** How many there are, without reading them all. */
  async count(what: 'sessions' | 'pods'): Promise<number> {
    const { items, metadata } = await this.api.call<List>('GET', `${this[what]}?limit=1`);
    return items.length + (metadata.remainingItemCount ?? 0);
  }

  /** Ends the controllers in good order, then everything else. */
  async close(): Promise<void> {
    for (const controller of this.#controllers) await controller.stop();
    await this.#nodes.stop();
    await this.api.close();
    await this.cluster.stop();
  }
}

interface Conditioned {
  status?: { conditions?: { type: string; status: string }[] };
}

interface List {
  items: unknown[];
  metadata: { remainingItemCount?: number };
}
