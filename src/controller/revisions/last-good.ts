import type { Agent } from '../../api/agent.ts';
import type { KubeApi } from '../../kube/api.ts';
import { controllerRevisions } from '../../kube/resources.ts';
import { withPodPart } from '../../pods/revision.ts';
import { podPartIn, recordName } from '../../pods/revision-record.ts';
import { judgeAgent, type AgentVerdict, type Platform, type Serving } from '../agent-state.ts';
import { splitKey } from '../caches.ts';
import { AgentMemories } from './agent-memories.ts';
import type { Attempts, Tried } from './attempts.ts';

interface Memory extends Tried {
  /** The revision of which a pod was ready last; its Agent's status may not say so yet. */
  ready?: string;
  /** What the record of this revision holds; undefined where that cannot be found out. */
  loaded?: { revision: string; pods: object | undefined };
  /** An object never changes. */
  judged?: { agent: Agent; pods: object; verdict: AgentVerdict };
}

/**
 * Knows which revision of an Agent was the last that could start, and takes from its record what its pods are made of, so that it can go on
 * serving while the present one cannot. Requests run beside the agent loop: one where it is needed, none for a session.
 */
export class LastGood {
  readonly #api: KubeApi;
  readonly #platform: Platform;
  readonly #attempts: Attempts;
  readonly #memories = new AgentMemories<Memory>(() => ({ busy: new Set(), said: new Set() }));

  constructor(deps: { api: KubeApi; platform: Platform; attempts: Attempts }) {
    this.#api = deps.api;
    this.#platform = deps.platform;
    this.#attempts = deps.attempts;
  }

  /** The last revision of which a pod was ready and that is on record. */
  revisionOf(agentKey: string, agent: Agent): string | undefined {
    return this.#memories.of(agentKey, agent).ready ?? agent.status?.lastReadyRevision;
  }

  /** A pod of this revision is ready, and it is on record: what a status names must be there. */
  sawReady(agentKey: string, agent: Agent, revision: string): void {
    this.#memories.of(agentKey, agent).ready = revision;
  }

  /**
   * The last good revision of an Agent whose present one cannot start; undefined where it is of no help.
   *
   * @returns `loading` while nobody knows yet, which is not for long
   */
  insteadOf(agentKey: string, agent: Agent, present: Serving, signal: AbortSignal): Serving | 'loading' | undefined {
    const revision = this.revisionOf(agentKey, agent);
    if (revision === undefined) return undefined;
    const memory = this.#memories.of(agentKey, agent);
    const { loaded } = memory;
    const isTried = loaded?.revision === revision;
    if (loaded === undefined || !isTried || loaded.pods === undefined) {
      const task = async (): Promise<void> => {
        try {
          memory.loaded = { revision, pods: await this.#load(agentKey, revision) };
        } catch (error) {
          memory.loaded = { revision, pods: undefined };
          throw error;
        }
      };
      this.#attempts.run(agentKey, memory, `cannot read the last good revision, ${revision}`, task, signal);
      return isTried ? undefined : 'loading';
    }
    const verdict = this.#judge(agent, memory, loaded.pods);
    if (!verdict.ok) {
      const why = { reason: verdict.message };
      this.#attempts.say(agentKey, memory, `cannot use the last good revision, ${revision}`, why);
    }
    return verdict.ok && verdict.revision !== present.revision && verdict.spec.protocol === 'Http'
      ? verdict
      : undefined;
  }

  /** The Agent is gone. */
  forget(agentKey: string): void {
    this.#memories.forget(agentKey);
  }

  /** With the present scaling and limits, under the present rules. */
  #judge(agent: Agent, memory: Memory, pods: object): AgentVerdict {
    const { judged } = memory;
    if (judged?.agent === agent && judged.pods === pods) return judged.verdict;
    const verdict = judgeAgent({ ...agent, spec: withPodPart(agent.spec, pods) }, this.#platform);
    memory.judged = { agent, pods, verdict };
    return verdict;
  }

  async #load(agentKey: string, revision: string): Promise<object> {
    const { namespace, name } = splitKey(agentKey);
    const record = await this.#api.get(controllerRevisions, { namespace, name: recordName(name, revision) });
    const pods = podPartIn(record);
    if (pods === undefined) throw new Error(`ControllerRevision ${record.metadata.name} holds no spec`);
    return pods;
  }
}
