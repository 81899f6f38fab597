import { Api, ApiError, readApiAccess } from './api.ts';
import { claimPodAddresses } from './fake-addresses.ts';
import { createFakeNode, setNodeReady, waitUntilSchedulable } from './fake-node.ts';
import { statusOf } from './fake-pod-status.ts';
import { advance, type Exit, type FakedPod, type PodMemory, type PodScript, type StopCause } from './fake-pod.ts';
import type { Delivery } from './fake-supervisor.ts';
import { FakeSupervisors } from './fake-supervisors.ts';

export type { PodScript } from './fake-pod.ts';

export interface FakeKubeletOptions {
  kubeconfig: string;
  /** How many nodes to play; they are called `fake-1`, `fake-2` and so on. Default 1. */
  nodes?: number;
  /** Before the number in a node's name; default `fake-`. */
  namePrefix?: string;
  /** How each pod behaves; asked whenever the pod changes, so its labels and annotations may tell. Default: starts at once, stays. */
  script?: (pod: FakedPod) => PodScript;
  /** Address of the n-th pod (from 0); default one of this machine's that no other fake kubelet uses: fake-addresses.ts. */
  podIP?: (index: number) => string;
  /** Told about calls that failed for another reason than a pod that is gone; default: nothing. */
  onError?: (error: Error) => void;
}

/**
 * Plays the kubelet for nodes without a machine: real Pod objects of a real apiserver start, run and end as a test says. The pods of
 * `protocol: Http` have a supervisor that answers at the pod's address.
 */
export interface FakeKubelet {
  readonly nodes: readonly string[];
  /** The containers of a running pod end now. With protocol Http only this one does; the kubelet does the rest. */
  exit(namespace: string, name: string, exit: Exit, container?: 'agent' | 'supervisor'): void;
  /** The pod is put off its node: phase Failed with this reason, for example Evicted. */
  evict(namespace: string, name: string, cause?: StopCause): void;
  /** Says whether a node is ready; `Unknown` is what the node controller says of a silent one. */
  setReady(node: string, status: 'True' | 'False' | 'Unknown'): Promise<void>;
  /** What the agents of a pod, or of all pods of a namespace, got by `POST /bot`, oldest first. Pods that are gone included. */
  deliveries(namespace: string, podName?: string): Delivery[];
  /**
   * From now on nothing is done or noticed, as if every kubelet were down; `resume` catches up. What runs in pods of `protocol: Http`
   * runs on: their supervisors take sessions, and agents end them.
   */
  pause(): void;
  resume(): void;
  /** Asks the script again for every pod. */
  refresh(): void;
  /** Stops playing. The nodes stay unless `removeNodes` is set. */
  stop(options?: { removeNodes?: boolean }): Promise<void>;
}

interface Entry {
  pod: FakedPod;
  memory?: PodMemory;
  index: number;
  timer?: NodeJS.Timeout;
  busy: boolean;
  again: boolean;
  /** The status that was written last. */
  written?: string;
  removed: boolean;
}

export async function startFakeKubelet(options: FakeKubeletOptions): Promise<FakeKubelet> {
  const api = new Api(await readApiAccess(options.kubeconfig), 'fake-kubelet');
  const prefix = options.namePrefix ?? 'fake-';
  const nodes = Array.from({ length: options.nodes ?? 1 }, (_, index) => `${prefix}${index + 1}`);
  const { podIP, release } =
    options.podIP === undefined ? await claimPodAddresses() : { podIP: options.podIP, release: () => undefined };
  const player = new Player(api, new Set(nodes), options, podIP);
  await Promise.all(nodes.map((node, index) => createFakeNode(api, node, index)));
  await Promise.all(nodes.map((node) => waitUntilSchedulable(api, node)));
  const watching = player.watch();
  return {
    nodes,
    exit: (namespace, name, exit, container = 'agent') =>
      player.order(
        namespace,
        name,
        container === 'agent' ? { orderedExit: exit } : { supervisorEnd: { ...exit, at: Date.now() } },
      ),
    evict: (namespace, name, cause = { reason: 'Evicted', message: 'The node was low on resource: memory.' }) =>
      player.order(namespace, name, { orderedStop: cause }),
    deliveries: (namespace, podName) => player.supervisors.deliveries(namespace, podName),
    setReady: (node, status) => setNodeReady(api, node, status),
    pause: () => player.pause(),
    resume: () => player.resume(),
    refresh: () => player.wakeAll(),
    async stop({ removeNodes = false } = {}) {
      player.stop();
      await watching;
      release();
      if (removeNodes) await Promise.all(nodes.map((node) => api.text('DELETE', `/api/v1/nodes/${node}`)));
      await api.close();
    },
  };
}

class Player {
  readonly #api: Api;
  readonly #nodes: ReadonlySet<string>;
  readonly #options: FakeKubeletOptions;
  readonly #podIP: (index: number) => string;
  readonly #entries = new Map<string, Entry>();
  readonly #abort = new AbortController();
  #paused = false;
  #nextIndex = 0;
  readonly supervisors = new FakeSupervisors({
    onChange: (podUid, change) => {
      const entry = this.#entries.get(podUid);
      if (entry !== undefined) this.#change(entry, change);
    },
    onError: (error) => this.#report(error),
  });

  constructor(api: Api, nodes: ReadonlySet<string>, options: FakeKubeletOptions, podIP: (index: number) => string) {
    this.#api = api;
    this.#nodes = nodes;
    this.#options = options;
    this.#podIP = podIP;
  }

  /** Follows all pods until stopped. Every round begins with a list, so nothing is missed when a watch ends. */
  async watch(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        await this.#listAndWatch();
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#report(error);
        // The apiserver may be restarting.
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  async #listAndWatch(): Promise<void> {
    interface List {
      metadata: { resourceVersion: string };
      items: FakedPod[];
    }
    const bound = 'fieldSelector=spec.nodeName!%3D';
    const list = await this.#api.call<List>('GET', `/api/v1/pods?${bound}`);
    const present = new Set(list.items.map((pod) => pod.metadata.uid));
    for (const pod of list.items) this.#onPod(pod);
    for (const entry of this.#entries.values()) if (!present.has(entry.pod.metadata.uid)) this.#onDeleted(entry.pod);
    const path = `/api/v1/pods?watch=1&${bound}&resourceVersion=${list.metadata.resourceVersion}`;
    for await (const event of this.#api.lines<{ type: string; object: FakedPod }>(path, this.#abort.signal)) {
      if (event.type === 'ERROR') return;
      if (event.type === 'DELETED') this.#onDeleted(event.object);
      else this.#onPod(event.object);
    }
  }

  #onPod(pod: FakedPod): void {
    if (!this.#nodes.has(pod.spec.nodeName ?? '')) return;
    let entry = this.#entries.get(pod.metadata.uid);
    if (entry === undefined) {
      entry = { pod, index: this.#nextIndex, busy: false, again: false, removed: false };
      this.#nextIndex += 1;
      this.#entries.set(pod.metadata.uid, entry);
    }
    entry.pod = pod;
    this.#wake(entry);
  }

  #onDeleted(pod: FakedPod): void {
    clearTimeout(this.#entries.get(pod.metadata.uid)?.timer);
    this.#entries.delete(pod.metadata.uid);
    this.supervisors.forget(pod.metadata.uid);
  }

  order(namespace: string, name: string, order: Partial<PodMemory>): void {
    for (const entry of this.#entries.values()) {
      const { metadata } = entry.pod;
      if (metadata.namespace !== namespace || metadata.name !== name || entry.memory === undefined) continue;
      this.#change(entry, order);
      return;
    }
    throw new Error(`no fake node runs pod ${namespace}/${name}`);
  }

  #change(entry: Entry, change: Partial<PodMemory>): void {
    if (entry.memory === undefined) return;
    entry.memory = { ...entry.memory, ...change };
    this.#wake(entry);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.wakeAll();
  }

  wakeAll(): void {
    for (const entry of this.#entries.values()) this.#wake(entry);
  }

  stop(): void {
    this.#abort.abort();
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
    this.#entries.clear();
    this.supervisors.stop();
  }

  /** One call at a time per pod; what happens meanwhile is seen in one more round. */
  #wake(entry: Entry): void {
    entry.again = true;
    if (entry.busy) return;
    entry.busy = true;
    void this.#work(entry);
  }

  async #work(entry: Entry): Promise<void> {
    while (entry.again && !this.#paused && this.#follows(entry.pod)) {
      entry.again = false;
      try {
        await this.#step(entry);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) continue;
        this.#report(error);
        this.#wakeLater(entry, 200);
      }
    }
    entry.busy = false;
  }

  #follows({ metadata }: FakedPod): boolean {
    return this.#entries.has(metadata.uid);
  }

  async #step(entry: Entry): Promise<void> {
    const { pod } = entry;
    const script = this.#options.script?.(pod) ?? {};
    // A pod that was over before this kubelet knew it needs nothing but its removal.
    const over = entry.memory === undefined && /^(Succeeded|Failed)$/.test(pod.status?.phase ?? '');
    if (script.acknowledge === false) return;
    const now = Date.now();
    if (!over) {
      const first = entry.memory === undefined;
      const { memory, wakeAt } = advance(entry.memory, pod, script, now);
      entry.memory = memory;
      // A kubelet first reports that it has seen the pod, then what became of it.
      const { seenAt, startTime } = memory;
      if (first && !script.quiet && pod.status?.phase === 'Pending')
        await this.#writeStatus(entry, { seenAt, startTime }, script, now);
      if (!this.#follows(pod)) return;
      // Who sees a pod run may call it.
      await this.supervisors.follow(pod, memory, script, this.#podIP(entry.index));
      if (!script.quiet || memory.runningAt !== undefined) await this.#writeStatus(entry, memory, script, now);
      if (wakeAt !== undefined) this.#wakeLater(entry, wakeAt - now);
    }
    const goes = pod.metadata.deletionTimestamp !== undefined && (over || entry.memory?.end !== undefined);
    if (goes && !entry.removed) {
      const preconditions = { uid: pod.metadata.uid };
      await this.#api.text('DELETE', podPath(pod), { gracePeriodSeconds: 0, preconditions });
      // With a finalizer it stays for a while; there is nothing more to do for it.
      entry.removed = true;
    }
  }

  /** As a kubelet does: a patch of the status, tied to the uid, and only when something has changed. */
  async #writeStatus(entry: Entry, memory: PodMemory, script: PodScript, now: number): Promise<void> {
    const { pod, index } = entry;
    const status = statusOf(memory, pod, script, { podIP: this.#podIP(index), hostIP: '127.0.0.1' }, now);
    const text = JSON.stringify(status);
    if (entry.written === text) return;
    const patch = { metadata: { uid: pod.metadata.uid }, status };
    const type = 'application/strategic-merge-patch+json';
    await this.#api.text('PATCH', `${podPath(pod)}/status`, patch, type);
    entry.written = text;
  }

  #wakeLater(entry: Entry, delayMs: number): void {
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => this.#wake(entry), delayMs);
  }

  #report(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
  }
}

function podPath({ metadata }: FakedPod): string {
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
}
