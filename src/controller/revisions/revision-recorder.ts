import type { Agent } from '../../api/agent.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import { controllerRevisions, refOf } from '../../kube/resources.ts';
import { recordsOf } from '../../pods/revision-record.ts';
import type { Serving } from '../agent-state.ts';
import { splitKey } from '../caches.ts';
import { AgentMemories } from './agent-memories.ts';
import type { Attempts, Tried } from './attempts.ts';
import { planRecord, type RecordPlan } from './plan-record.ts';

interface Memory extends Tried {
  /** The revision that is on record; its Agent's status may not say so yet. */
  recorded?: string;
}

/**
 * Keeps what the pods of each revision of an Agent are made of in a ControllerRevision: the history of its deployments, and what the last
 * good one is taken from. That costs two or three requests for a new revision, and none where the Agent's status says that it is there.
 */
export class RevisionRecorder {
  readonly #api: KubeApi;
  readonly #attempts: Attempts;
  readonly #memories = new AgentMemories<Memory>(() => ({ busy: new Set(), said: new Set() }));

  constructor(deps: { api: KubeApi; attempts: Attempts }) {
    this.#api = deps.api;
    this.#attempts = deps.attempts;
  }

  /** The revision that was recorded last. */
  recordedOf(agentKey: string, agent: Agent): string | undefined {
    return this.#memories.of(agentKey, agent).recorded ?? agent.status?.recordedRevision;
  }

  /** This is the Agent's present revision; looks again when it is on record. */
  record(agentKey: string, agent: Agent, verdict: Serving, signal: AbortSignal): void {
    const memory = this.#memories.of(agentKey, agent);
    const { revision } = verdict;
    const task = async (): Promise<void> => {
      const { namespace, name } = splitKey(agentKey);
      const found = await this.#api.list(controllerRevisions, { namespace, labelSelector: recordsOf(name) });
      await this.#carryOut(namespace, planRecord(agent, verdict, found.items));
      memory.recorded = revision;
    };
    this.#attempts.run(agentKey, memory, `cannot record the revision ${revision}`, task, signal);
  }

  /** The Agent is gone. */
  forget(agentKey: string): void {
    this.#memories.forget(agentKey);
  }

  async #carryOut(namespace: string, { inTheWay, create, renumber, remove }: RecordPlan): Promise<void> {
    for (const old of inTheWay === undefined ? remove : [inTheWay, ...remove]) {
      try {
        await this.#api.delete(controllerRevisions, refOf(old), { uid: old.metadata.uid });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    if (renumber !== undefined) {
      const { record, number } = renumber;
      const body = { metadata: { uid: record.metadata.uid }, revision: number };
      await this.#api.patch(controllerRevisions, refOf(record), { type: 'merge', body });
    }
    if (create === undefined) return;
    try {
      await this.#api.create(controllerRevisions, namespace, create);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
}
