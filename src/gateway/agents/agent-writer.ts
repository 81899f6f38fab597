import type { Agent } from '../../api/agent.ts';
import { agents as agentResource } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isConflict, isForbidden, isInvalid, isNotFound, KubeError } from '../../kube/errors.ts';
import { Problem } from '../problems.ts';
import type { AgentDirectory } from './agent-directory.ts';
import { agentManifest, FIELD_MANAGER } from './agent-manifest.ts';
import { warningOf, type AgentSettings } from './agent-settings.ts';

/** An Agent as it is now, and what whoever changed it should know. */
export interface Written {
  agent: Agent;
  warning: string | undefined;
}

/** Makes, changes and deletes Agents, as one of several who may do so. */
export class AgentWriter {
  readonly #api: KubeApi;
  readonly #directory: AgentDirectory;
  readonly #clock: Clock;

  constructor(deps: { api: KubeApi; directory: AgentDirectory; clock: Clock }) {
    this.#api = deps.api;
    this.#directory = deps.directory;
    this.#clock = deps.clock;
  }

  /** @throws Problem Conflict when there is one of that name */
  async create(namespace: string, name: string, given: AgentSettings): Promise<Written> {
    if ((await this.#directory.fresh(namespace, name)) !== undefined)
      throw new Problem('Conflict', { error: `An agent named ${name} already exists` });
    return await this.#apply(namespace, name, undefined, given);
  }

  /** @throws Problem ServiceNotFound */
  async update(namespace: string, name: string, given: AgentSettings): Promise<Written> {
    const live = await this.#directory.fresh(namespace, name);
    if (live === undefined) throw new Problem('ServiceNotFound');
    return await this.#apply(namespace, name, live, given);
  }

  /** Ends none of its sessions. @throws Problem ServiceNotFound */
  async delete(namespace: string, name: string): Promise<void> {
    if ((await this.#directory.find(namespace, name)) === undefined) throw new Problem('ServiceNotFound');
    try {
      await this.#api.delete(agentResource, { namespace, name }, { propagationPolicy: 'Background' });
    } catch (error) {
      if (isNotFound(error)) throw new Problem('ServiceNotFound', { cause: error });
      throw error;
    }
  }

  async #apply(namespace: string, name: string, live: Agent | undefined, given: AgentSettings): Promise<Written> {
    const body = agentManifest(live, { namespace, name }, given, this.#clock.now());
    try {
      const agent = await this.#api.patch(
        agentResource,
        { namespace, name },
        { type: 'apply', body },
        { fieldManager: FIELD_MANAGER },
      );
      this.#directory.written(agent);
      // An apply that changes nothing is not written.
      const isSame = agent.metadata.resourceVersion === live?.metadata.resourceVersion;
      return {
        agent,
        warning: warningOf(given) ?? (isSame ? 'Nothing has changed: the agent is as it was.' : undefined),
      };
    } catch (error) {
      throw refusal(error);
    }
  }
}

/** Says in the caller's words what Kubernetes has refused. */
function refusal(error: unknown): unknown {
  if (!(error instanceof KubeError)) return error;
  const text = error.status?.message ?? error.reason;
  if (isConflict(error)) {
    const causes = error.details?.causes ?? [];
    const fields = causes.map(({ field = '', message = '' }) => `${field} (${message})`).join('; ');
    const what = `Somebody else owns what this would change: ${fields || text}. Change it there, or have them give it up.`;
    return new Problem('Conflict', { error: what, cause: error });
  }
  if (isInvalid(error) || error.code === 400)
    return new Problem('BadRequest', { error: `Invalid parameters: ${text}`, cause: error });
  if (isForbidden(error)) return new Problem('Forbidden', { error: text, cause: error });
  return error;
}
