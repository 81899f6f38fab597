import type { Agent } from '../api/agent.ts';
import type { NewObject, Pod } from '../kube/objects.ts';
import type { Binding } from '../pods/binding.ts';
import { buildHttpPod, type SupervisorSettings } from '../pods/http-pod.ts';
import type { SessionPodPolicy } from '../pods/policy.ts';
import { buildProcessPod, type Body } from '../pods/process-pod.ts';
import type { PublicKeys } from '../supervisor/wire.ts';
import type { Serving } from './agent-state.ts';

/** Makes the pods of Agents, from what the Agent says and what this installation adds. */
export class PodFactory {
  readonly #policy: SessionPodPolicy;
  readonly #supervisor: SupervisorSettings;
  readonly #publicKeys: () => PublicKeys;

  /** @param deps.publicKeys the keys that a pod made now is to trust */
  constructor(deps: { policy: SessionPodPolicy; supervisor: SupervisorSettings; publicKeys: () => PublicKeys }) {
    this.#policy = deps.policy;
    this.#supervisor = deps.supervisor;
    this.#publicKeys = deps.publicKeys;
  }

  /**
   * The pod of a Session.
   *
   * @param body for agents of protocol Process; those of protocol Http are told by their supervisor
   */
  forSession(agent: Agent, verdict: Serving, binding: Binding, body: Body | undefined): NewObject<Pod> {
    if (verdict.spec.protocol === 'Http') return this.#http(agent, verdict, { binding });
    if (body === undefined) throw new Error('a pod of protocol Process is made with its body');
    return buildProcessPod({ ...this.#common(agent, verdict), binding, body });
  }

  /** A pod that waits for a Session. */
  warm(agent: Agent, verdict: Serving, name: string): NewObject<Pod> {
    return this.#http(agent, verdict, { warm: name });
  }

  #http(agent: Agent, verdict: Serving, purpose: { binding: Binding } | { warm: string }): NewObject<Pod> {
    const publicKeys = this.#publicKeys();
    return buildHttpPod({ ...this.#common(agent, verdict), purpose, supervisor: this.#supervisor, publicKeys });
  }

  #common({ metadata }: Agent, { spec, template, revision }: Serving) {
    const { name, uid, namespace = '' } = metadata;
    return { namespace, agent: { name, uid, spec, revision }, template, policy: this.#policy };
  }
}
