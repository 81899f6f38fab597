import type { Agent } from '../../api/agent.ts';
import type { KubeApi } from '../../kube/api.ts';
import { controllerRevisions } from '../../kube/resources.ts';
import { recordsOf } from '../../pods/revision-record.ts';
import { deploymentsOf, type Deployment } from './deployment-view.ts';

/** Finds the deployments of Agents. They are asked for seldom, and so are not watched. */
export class DeploymentDirectory {
  readonly #api: KubeApi;

  constructor(deps: { api: KubeApi }) {
    this.#api = deps.api;
  }

  /** The newest first. */
  async ofAgent(agent: Agent): Promise<Deployment[]> {
    const { namespace, name } = agent.metadata;
    const { items } = await this.#api.list(controllerRevisions, { namespace, labelSelector: recordsOf(name) });
    return deploymentsOf(agent, items);
  }
}
