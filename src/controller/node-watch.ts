import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isNotFound } from '../kube/errors.ts';
import type { Node } from '../kube/objects.ts';
import { nodes as nodeResource } from '../kube/resources.ts';
import type { Store } from '../kube/store.ts';
import type { NodeState } from './session-ending.ts';

/**
 * Which nodes answer. A node is silent while its condition Ready is not True; for how long is measured from when this
 * process first saw it, by its own monotonic clock: the timestamps on the Node are another machine's.
 */
export class NodeWatch {
  readonly #api: KubeApi;
  readonly #store: Store<Node>;
  readonly #clock: Clock;
  readonly #silentSince = new Map<string, number>();

  constructor(deps: { api: KubeApi; store: Store<Node>; clock: Clock }) {
    this.#api = deps.api;
    this.#store = deps.store;
    this.#clock = deps.clock;
  }

  /** Takes note of a change of a Node. */
  observe(node: Node): void {
    if (answers(node)) this.#silentSince.delete(node.metadata.name);
    else if (!this.#silentSince.has(node.metadata.name))
      this.#silentSince.set(node.metadata.name, this.#clock.monotonic());
  }

  forget(name: string): void {
    this.#silentSince.delete(name);
  }

  /** The state of the node that a pod is on. A node that the cache does not know is asked for before it counts as gone. */
  async stateOf(name: string | undefined): Promise<NodeState> {
    if (name === undefined || name === '') return { state: 'answers' };
    const node = this.#store.get(name) ?? (await this.#read(name));
    if (node === undefined) return { state: 'gone' };
    this.observe(node);
    const since = this.#silentSince.get(name);
    return since === undefined
      ? { state: 'answers' }
      : { state: 'silent', silentForMs: this.#clock.monotonic() - since };
  }

  /** Brings what is known of a node up to date. One that is gone is found out by `stateOf`, once the watch has said so. */
  async readAfresh(name: string): Promise<void> {
    await this.#read(name);
  }

  async #read(name: string): Promise<Node | undefined> {
    try {
      const node = await this.#api.get(nodeResource, { name });
      this.#store.writeThrough(node);
      return node;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

function answers(node: Node): boolean {
  return (
    node.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}
