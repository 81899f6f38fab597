import { setTimeout as sleep } from 'node:timers/promises';
import { labels } from '../../src/api/names.ts';
import type { AgentSpecInput } from '../../src/api/agent.ts';
import type { ApiKeyType } from '../../src/api/api-key.ts';
import type { Session, SessionSpec } from '../../src/api/session.ts';
import { sessions } from '../../src/api/resources.ts';
import { isAlreadyExists, KubeError } from '../../src/kube/errors.ts';
import { pods } from '../../src/kube/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { FakedPod } from '../cluster/fake-pod.ts';
import { startFakeKubelet, type FakeKubelet, type PodScript } from '../cluster/fake-kubelet.ts';
import type { Delivery } from '../cluster/fake-supervisor.ts';
import { waitFor } from '../cluster/wait.ts';
import { dropAccount } from './controller-account.ts';
import { ControllerProcess, type ControllerOptions } from './controller-process.ts';
import { applyCrds } from './crds.ts';
import { createKey, GatewayProcess, type GatewayOptions } from './gateway-process.ts';
import { TestKube } from './kube.ts';
import { Recorder } from './replay.ts';
import { replay, type Replayed } from './replay-rules.ts';

/** What a session of the tests does unless told otherwise: it runs for a moment and succeeds. */
const SHORT: PodScript = { exit: { afterMs: 200, code: 0 } };

/** The same for an agent of protocol Http. */
const SHORT_CALL: PodScript = { bot: { afterMs: 200 } };

/** What the pods of an Agent do: all the same, or each by what it is. */
export type ScriptOf = PodScript | ((pod: FakedPod) => PodScript);

/**
 * Fake nodes that a test file plays on, on a real control plane. Each test has a {@link Scene} of its own: a namespace with its
 * own controllers, so that tests do not disturb each other and may run side by side.
 */
export class Stage {
  readonly cluster: Cluster;
  readonly kubelet: FakeKubelet;
  readonly #prefix: string;
  readonly #scripts: Map<string, ScriptOf>;
  readonly #scenes: Scene[] = [];

  private constructor(cluster: Cluster, prefix: string, kubelet: FakeKubelet, scripts: Map<string, ScriptOf>) {
    this.cluster = cluster;
    this.#prefix = prefix;
    this.kubelet = kubelet;
    this.#scripts = scripts;
  }

  /** @param name of the test file; namespaces and nodes begin with it */
  static async open(cluster: Cluster, name: string, { nodes = 8 } = {}): Promise<Stage> {
    const prefix = `${name}-${Date.now().toString(36)}`;
    const scripts = new Map<string, ScriptOf>();
    const [kubelet] = await Promise.all([
      startFakeKubelet({
        kubeconfig: cluster.kubeconfig,
        namePrefix: `${prefix}-`,
        nodes,
        script: (pod) => {
          const { namespace, labels: own } = pod.metadata;
          const script = scripts.get(`${namespace}/${own?.[labels.agent] ?? ''}`) ?? SHORT;
          return typeof script === 'function' ? script(pod) : script;
        },
      }),
      applyCrds(cluster),
    ]);
    return new Stage(cluster, prefix, kubelet, scripts);
  }

  /** A namespace that is recorded from its beginning. */
  async scene(name: string): Promise<Scene> {
    const scene = await Scene.open(this, `${this.#prefix}-${name}`, this.#scripts);
    this.#scenes.push(scene);
    return scene;
  }

  async close(): Promise<void> {
    await Promise.all(this.#scenes.map((scene) => scene.close()));
    await this.kubelet.stop({ removeNodes: true });
  }
}

/** One namespace, its Agents and Sessions, its controllers, and the record of all that happened. */
export class Scene {
  readonly kube: TestKube;
  readonly namespace: string;
  readonly #stage: Stage;
  readonly #recorder: Recorder;
  readonly #scripts: Map<string, ScriptOf>;
  readonly #controllers: ControllerProcess[] = [];
  readonly #gateways: GatewayProcess[] = [];
  readonly #maxAgents: Record<string, number> = {};
  #closed = false;

  private constructor(stage: Stage, kube: TestKube, recorder: Recorder, scripts: Map<string, ScriptOf>) {
    this.#stage = stage;
    this.kube = kube;
    this.namespace = kube.namespace;
    this.#recorder = recorder;
    this.#scripts = scripts;
  }

  static async open(stage: Stage, namespace: string, scripts: Map<string, ScriptOf>): Promise<Scene> {
    const { cluster } = stage;
    const kube = new TestKube(cluster, namespace);
    await kube.createNamespace();
    const recorder = await Recorder.start(cluster, namespace);
    const scene = new Scene(stage, kube, recorder, scripts);
    await scene.#takesPods();
    return scene;
  }

  /** Makes its namespace again, which a test has deleted. */
  async reopen(): Promise<void> {
    await this.kube.createNamespace();
    await this.#takesPods();
  }

  async #takesPods(): Promise<void> {
    const account = ['get', 'serviceaccount', 'default', '--namespace', this.namespace];
    const what = 'the service account of pods';
    // Where a test took the API server away, Kubernetes' own controllers come back after up to half a minute, and each time later.
    await waitFor(() => this.#stage.cluster.kubectl(account), { what, timeoutMs: 120_000 });
  }

  /** An Agent whose pods go to this file's nodes and do what `script` says. */
  async agent(
    name: string,
    maxAgents: number,
    spec: Partial<AgentSpecInput> = {},
    script: ScriptOf = SHORT,
  ): Promise<void> {
    this.#scripts.set(`${this.namespace}/${name}`, script);
    this.#maxAgents[name] = maxAgents;
    const ours = { key: 'kubernetes.io/hostname', operator: 'In', values: this.#stage.kubelet.nodes };
    const nodeAffinity = {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [ours] }] },
    };
    await this.kube.createAgent(name, 'exit 0', {
      scaling: { maxAgents },
      podTemplate: { spec: { affinity: { nodeAffinity } } },
      ...spec,
    });
  }

  /** The same for an Agent of protocol Http, whose pods have a supervisor that answers. */
  async httpAgent(
    name: string,
    maxAgents: number,
    spec: Partial<AgentSpecInput> = {},
    script: ScriptOf = SHORT_CALL,
  ): Promise<void> {
    await this.agent(name, maxAgents, { protocol: 'Http', ...spec }, script);
  }

  /** What the agents of this scene's pods of protocol Http, or those of one pod, got by `POST /bot`. */
  deliveries(podName?: string): Delivery[] {
    return this.#stage.kubelet.deliveries(this.namespace, podName);
  }

  /** The uids of the Sessions that the agents of this scene were told of, in order: one that was told twice is there twice. */
  told(): string[] {
    return this.deliveries()
      .map(({ sessionUid }) => sessionUid)
      .sort();
  }

  /** Changes what the pods of an Agent do, the running ones included. */
  script(agent: string, script: ScriptOf): void {
    this.#scripts.set(`${this.namespace}/${agent}`, script);
    this.#stage.kubelet.refresh();
  }

  /** Creates so many Sessions at once, called PREFIX-0 and so on; each is tried until the API server has it. Returns their names. */
  async burst(agent: string, count: number, prefix = 's', spec: Partial<SessionSpec> = {}): Promise<string[]> {
    const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
    await Promise.all(names.map((name) => this.#createSurely(name, { agent, ...spec })));
    return names;
  }

  /** A controller for this namespace alone, with a lease of its own. */
  async controller(options: Partial<ControllerOptions> = {}): Promise<ControllerProcess> {
    const { namespace } = this;
    const controller = await ControllerProcess.start(this.#stage.cluster, {
      namespace,
      watchNamespaces: [namespace],
      ...options,
    });
    this.#controllers.push(controller);
    return controller;
  }

  /** One that leads already. */
  async leader(options: Partial<ControllerOptions> = {}): Promise<ControllerProcess> {
    const controller = await this.controller(options);
    await controller.log('leading');
    return controller;
  }

  /** One that waits for the lease. */
  async standby(options: Partial<ControllerOptions> = {}): Promise<ControllerProcess> {
    const controller = await this.controller(options);
    await controller.log('started; waiting for the lease');
    return controller;
  }

  /** A controller that is started again whenever it ends, as a Deployment does; the first one leads when this resolves. */
  async keepRunning(options: Partial<ControllerOptions> = {}): Promise<void> {
    void this.#startAgain(await this.leader(options), options);
  }

  /** A gateway for this namespace alone. */
  async gateway(options: Partial<GatewayOptions> = {}): Promise<GatewayProcess> {
    const { namespace } = this;
    const watchNamespaces = [namespace];
    const gateway = await GatewayProcess.start(this.#stage.cluster, { namespace, watchNamespaces, ...options });
    this.#gateways.push(gateway);
    return gateway;
  }

  /** A key of the REST API for this namespace. */
  async key(type: ApiKeyType): Promise<string> {
    return await createKey(this.#stage.cluster, this.namespace, type);
  }

  /** The controller that was started last. */
  currentController(): ControllerProcess {
    const last = this.#controllers.at(-1);
    if (last === undefined) throw new Error('no controller has been started');
    return last;
  }

  /** Resolves when these Sessions are over, and their pods let go of. */
  async settled(names: readonly string[], timeoutMs = 240_000): Promise<void> {
    const wanted = new Set(names);
    const { api } = this.kube;
    let open = '';
    await waitFor(
      async () => {
        const [found, left] = await Promise.all([
          api.list(sessions, { namespace: this.namespace }),
          api.list(pods, { namespace: this.namespace }),
        ]);
        const over = found.items.filter((session) => wanted.has(session.metadata.name) && isOver(session));
        const held = left.items.filter(
          ({ metadata }) =>
            wanted.has(metadata.labels?.[labels.session] ?? '') && (metadata.finalizers ?? []).length > 0,
        );
        open = `${over.length} of ${names.length} are over, ${held.length} pods are held`;
        return over.length === names.length && held.length === 0;
      },
      { what: 'all Sessions to be over', timeoutMs, intervalMs: 200 },
    ).catch((cause: unknown) => {
      throw new Error(`${open}; the controllers last said:\n${this.#tails()}`, { cause });
    });
  }

  /** What the record says, held against the rules and the limits of this scene's Agents. */
  async replay(): Promise<Replayed> {
    return replay(await this.#recorder.changes(), this.#maxAgents);
  }

  /** Ends the controllers and leaves nothing that only they would have removed. */
  async close(): Promise<void> {
    const { api } = this.kube;
    this.#closed = true;
    await Promise.all([...this.#controllers, ...this.#gateways].map((program) => program.kill()));
    const body = { metadata: { finalizers: null } };
    const { items } = await api.list(pods, { namespace: this.namespace });
    await Promise.all(
      items.map(({ metadata: { name } }) =>
        api.patch(pods, { namespace: this.namespace, name }, { type: 'merge', body }).catch(() => undefined),
      ),
    );
    await this.#recorder.close();
    await this.#stage.cluster.kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
    await dropAccount(this.#stage.cluster, this.namespace);
    await this.kube.close();
  }

  async #createSurely(name: string, spec: Partial<SessionSpec> & { agent: string }): Promise<void> {
    const giveUpAt = Date.now() + 60_000;
    for (;;) {
      try {
        await this.kube.createSession(name, spec);
        return;
      } catch (error) {
        if (isAlreadyExists(error)) return; // The reply to an earlier try was lost.
        const transient = error instanceof KubeError && (error.code === 0 || error.code >= 500 || error.code === 429);
        if (!transient || Date.now() > giveUpAt) throw error;
      }
      await sleep(200);
    }
  }

  async #startAgain(first: ControllerProcess, options: Partial<ControllerOptions>): Promise<void> {
    for (let current = first; ;) {
      await current.exited();
      await sleep(500);
      if (this.#closed) return;
      current = await this.controller(options);
      if (this.#closed) await current.kill();
    }
  }

  #tails(): string {
    return this.#controllers.map((controller) => controller.tail(10)).join('\n--\n');
  }
}

function isOver(session: Session): boolean {
  return session.status?.phase === 'Ended' || session.status?.phase === 'Rejected';
}
