import type { Agent } from '../../api/agent.ts';
import { agents as agentResource } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isUnavailable } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import { INDEX } from '../caches.ts';
import { Problem } from '../problems.ts';
import { agentNameParam } from '../routes/fields.ts';

/** Finds Agents: in the cache, and what that does not know by asking, because it may have been made a moment ago. */
export class AgentDirectory {
  readonly #api: KubeApi;
  readonly #agents: Store<Agent>;

  constructor(deps: { api: KubeApi; agents: Store<Agent> }) {
    this.#api = deps.api;
    this.#agents = deps.agents;
  }

  /** All Agents of a namespace, by name. */
  list(namespace: string): Agent[] {
    return this.#agents
      .byIndex(INDEX.namespace, namespace)
      .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  }

  /** As the cache has it. */
  known(namespace: string, name: string): Agent | undefined {
    return this.#agents.get(keyOf({ namespace, name }));
  }

  /** @throws Problem AgentNotFound */
  async get(namespace: string, name: string): Promise<Agent> {
    const found = await this.find(namespace, name);
    if (found === undefined) throw new Problem('AgentNotFound');
    return found;
  }

  async find(namespace: string, name: string): Promise<Agent | undefined> {
    return this.known(namespace, name) ?? (await this.fresh(namespace, name));
  }

  /** As the API server has it now. */
  async fresh(namespace: string, name: string): Promise<Agent | undefined> {
    if (!agentNameParam.safeParse(name).success) return undefined;
    const fresh = await find(this.#api, agentResource, { namespace, name });
    if (fresh !== undefined) this.#agents.writeThrough(fresh);
    return fresh;
  }

  /** As the API server has it now, or, while that does not answer, as it was. */
  async latest(namespace: string, name: string): Promise<Agent | undefined> {
    try {
      return await this.fresh(namespace, name);
    } catch (error) {
      const known = this.known(namespace, name);
      if (known === undefined || !isUnavailable(error)) throw error;
      return known;
    }
  }

  /** What we have just written shows at once. */
  written(agent: Agent): void {
    this.#agents.writeThrough(agent);
  }
}
