import type { Agent } from '../../api/agent.ts';
import { agents as agentResource } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isConflict, isDenied, isInvalid, isNotFound, KubeError } from '../../kube/errors.ts';
import { Problem } from '../problems.ts';
import type { SecretSets } from '../secrets/secret-sets.ts';
import type { AgentDirectory } from './agent-directory.ts';
import { agentManifest, FIELD_MANAGER } from './agent-manifest.ts';
import { warningOf, type AgentSettings } from './agent-settings.ts';

/** The controller writes its status now and then, and others may change it. */
const MAX_TRIES = 10;

/** An Agent as it is now, and what whoever changed it should know. */
export interface Written {
  agent: Agent;
  warning: string | undefined;
}

/** Makes, changes and deletes Agents, as one of several who may do so. */
export class AgentWriter {
  readonly #api: KubeApi;
  readonly #directory: AgentDirectory;
  readonly #secrets: Pick<SecretSets, 'exists'>;
  readonly #clock: Clock;

  constructor(deps: { api: KubeApi; directory: AgentDirectory; secrets: Pick<SecretSets, 'exists'>; clock: Clock }) {
    this.#api = deps.api;
    this.#directory = deps.directory;
    this.#secrets = deps.secrets;
    this.#clock = deps.clock;
  }

  /** @throws Problem Conflict when there is one of that name */
  async create(namespace: string, name: string, given: AgentSettings): Promise<Written> {
    if ((await this.#directory.fresh(namespace, name)) !== undefined)
      throw new Problem('Conflict', { error: `An agent named ${name} already exists` });
    return await this.#apply(namespace, name, undefined, given).catch((error: unknown) => {
      throw refusal(error);
    });
  }

  /** Of what others change at the same time nothing is lost, whoever they are. @throws Problem ServiceNotFound */
  async update(namespace: string, name: string, given: AgentSettings): Promise<Written> {
    for (let tries = 1; ; tries += 1) {
      const live = await this.#directory.fresh(namespace, name);
      if (live === undefined) throw new Problem('ServiceNotFound');
      try {
        return await this.#apply(namespace, name, live, given);
      } catch (error) {
        if (!wasChanged(error) || tries === MAX_TRIES) throw refusal(error);
      }
    }
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

  /** An Agent would wait for ever for a Secret that is not there. @throws Problem BadRequest */
  async #checkSecrets(namespace: string, { secretSet, imagePullSecretSet }: AgentSettings): Promise<void> {
    for (const [field, name] of Object.entries({ secretSet, imagePullSecretSet }))
      if (typeof name === 'string' && !(await this.#secrets.exists(namespace, name)))
        throw new Problem('BadRequest', { error: `Invalid parameters: ${field}: there is no secret set '${name}'` });
  }

  async #apply(namespace: string, name: string, live: Agent | undefined, given: AgentSettings): Promise<Written> {
    await this.#checkSecrets(namespace, given);
    const { metadata, ...wanted } = agentManifest(live, { namespace, name }, given, this.#clock.now());
    // What is applied was made from what there was: it must be that still, and must not come back when it has been deleted.
    const before = live && { uid: live.metadata.uid, resourceVersion: live.metadata.resourceVersion };
    const agent = await this.#api.patch(
      agentResource,
      { namespace, name },
      { type: 'apply', body: { ...wanted, metadata: { ...metadata, ...before } } },
      { fieldManager: FIELD_MANAGER },
    );
    this.#directory.written(agent);
    // An apply that changes nothing is not written.
    const isSame = agent.metadata.resourceVersion === live?.metadata.resourceVersion;
    return {
      agent,
      warning: warningOf(given) ?? (isSame ? 'Nothing has changed: the agent is as it was.' : undefined),
    };
  }
}

/** Whether an Agent is no longer what it was, which is not that somebody else owns a field of it. */
function wasChanged(error: unknown): boolean {
  return error instanceof KubeError && isConflict(error) && (error.details?.causes ?? []).length === 0;
}

/** Says in the caller's words what Kubernetes has refused. */
function refusal(error: unknown): unknown {
  if (!(error instanceof KubeError)) return error;
  if (wasChanged(error)) return new Problem('Conflict', { cause: error });
  const text = error.status?.message ?? error.reason;
  if (isConflict(error)) {
    const causes = error.details?.causes ?? [];
    const fields = causes.map(({ field = '', message = '' }) => `${field} (${message})`).join('; ');
    const what = `Somebody else owns what this would change: ${fields || text}. Change it there, or have them give it up.`;
    return new Problem('Conflict', { error: what, cause: error });
  }
  if ((isInvalid(error) || error.code === 400) && !isDenied(error))
    return new Problem('BadRequest', { error: `Invalid parameters: ${text}`, cause: error });
  return error;
}
