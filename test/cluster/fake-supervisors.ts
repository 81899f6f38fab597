import { supervisorContainer } from '../../src/api/names.ts';
import { readSupervisorConfig, type SupervisorConfig } from '../../src/supervisor/config.ts';
import { isHttpPod } from './fake-http-pod.ts';
import type { FakedPod, PodMemory, PodScript } from './fake-pod.ts';
import { FakeSupervisor, type Delivery } from './fake-supervisor.ts';

export interface FakeSupervisorsDeps {
  /** Something happened in a pod that its kubelet has to know. */
  onChange: (podUid: string, change: Partial<PodMemory>) => void;
  /** A supervisor could not be started. It has ended with code 1, as a real one would. */
  onError: (error: Error) => void;
}

/** The supervisors of all fake pods of `protocol: Http`, each at its pod's address. */
export class FakeSupervisors {
  readonly #deps: FakeSupervisorsDeps;
  readonly #byPod = new Map<string, FakeSupervisor>();
  /** Pods whose supervisor is being made, unless they are forgotten meanwhile. */
  readonly #starting = new Set<string>();
  readonly #deliveries: Delivery[] = [];

  constructor(deps: FakeSupervisorsDeps) {
    this.#deps = deps;
  }

  /** Starts, stops and informs the supervisor of a pod, by what its kubelet knows. Level-triggered; one call at a time per pod. */
  async follow(pod: FakedPod, memory: PodMemory, script: PodScript, address: string): Promise<void> {
    if (!isHttpPod(pod) || memory.runningAt === undefined) return;
    const { uid } = pod.metadata;
    if (memory.supervisorEnd !== undefined || memory.end !== undefined) {
      this.forget(uid);
      return;
    }
    try {
      const supervisor = this.#byPod.get(uid) ?? (await this.#start(pod, memory, script, address));
      await supervisor?.follow(memory, script);
    } catch (cause) {
      const { namespace, name } = pod.metadata;
      const error = new Error(`the supervisor of pod ${namespace}/${name} could not be started`, { cause });
      this.forget(uid);
      this.#deps.onChange(uid, { supervisorEnd: { code: 1, at: Date.now() } });
      this.#deps.onError(error);
    }
  }

  /** The pod is gone: nothing of its supervisor is left. */
  forget(uid: string): void {
    this.#starting.delete(uid);
    this.#byPod.get(uid)?.kill();
    this.#byPod.delete(uid);
  }

  /** What the agents of a pod, or of all pods of a namespace, got by `POST /bot`, oldest first. Pods that are gone included. */
  deliveries(namespace: string, podName?: string): Delivery[] {
    return this.#deliveries.filter(
      (delivery) => delivery.namespace === namespace && delivery.podName === (podName ?? delivery.podName),
    );
  }

  stop(): void {
    this.#starting.clear();
    for (const uid of [...this.#byPod.keys()]) this.forget(uid);
  }

  async #start(
    pod: FakedPod,
    memory: PodMemory,
    script: PodScript,
    address: string,
  ): Promise<FakeSupervisor | undefined> {
    const { name, namespace, uid } = pod.metadata;
    const change = (what: Partial<PodMemory>): void => this.#deps.onChange(uid, what);
    this.#starting.add(uid);
    const supervisor = await FakeSupervisor.create({
      config: configOf(pod),
      address,
      memory,
      script,
      onBound: () => change({ boundAt: Date.now() }),
      onDelivery: (delivery) =>
        this.#deliveries.push({ namespace, podName: name, podUid: uid, ...delivery, at: Date.now() }),
      onCrash: (exit) => change({ orderedExit: { ...exit, at: Date.now() } }),
      onOver: (record) => change({ supervisorEnd: { code: 0, message: JSON.stringify(record), at: Date.now() } }),
    });
    if (!this.#starting.delete(uid)) return undefined;
    this.#byPod.set(uid, supervisor);
    return supervisor;
  }
}

/** What the supervisor's environment says, read as the real one reads it. */
function configOf({ metadata, spec }: FakedPod): SupervisorConfig {
  const container = spec.containers.find(({ name }) => name === supervisorContainer);
  const variables = (container?.env ?? []).map(({ name, value, valueFrom }) => [
    name,
    valueFrom?.fieldRef?.fieldPath === 'metadata.uid' ? metadata.uid : value,
  ]);
  return readSupervisorConfig(Object.fromEntries(variables) as NodeJS.ProcessEnv);
}
