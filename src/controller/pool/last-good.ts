import type { Agent } from '../../api/agent.ts';
import { labels } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import { controllerRevisions, refOf } from '../../kube/resources.ts';
import { withPodPart } from '../../pods/revision.ts';
import { judgeAgent, type AgentVerdict, type Platform, type Serving } from '../agent-state.ts';
import { splitKey } from '../caches.ts';
import { Background } from './background.ts';
import { planRecord, podPartIn, recordName } from './revision-records.ts';

/** Requests that may be under way at one time, of all Agents and of one. */
const PARALLEL = { limit: 2, perKey: 1 };

/** After a request that failed. */
const AGAIN_MS = 60_000;

/** What is known of one Agent. */
interface Memory {
  uid: string;
  /** The revision that is on record; its Agent's status may not say so yet. */
  recorded?: string;
  /** What the record of this revision holds; undefined where that cannot be found out. */
  loaded?: { revision: string; pods: object | undefined };
  /** An object never changes. */
  judged?: { agent: Agent; pods: object; verdict: AgentVerdict };
  /** What is under way, or has failed a moment ago, by what would be complained about. */
  busy: Set<string>;
  /** What has been complained about. */
  said: Set<string>;
}

/**
 * Keeps what the pods of an Agent's last good revision are made of, in ControllerRevisions, so that it can go on serving while the
 * present one cannot start. Requests run beside the agent loop: a few for each rollout, none for a session.
 */
export class LastGood {
  readonly #api: KubeApi;
  readonly #platform: Platform;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #wake: (agentKey: string) => void;
  readonly #background = new Background(PARALLEL);
  readonly #memories = new Map<string, Memory>();

  constructor(deps: {
    api: KubeApi;
    platform: Platform;
    clock: Clock;
    logger: Logger;
    wake: (agentKey: string) => void;
  }) {
    this.#api = deps.api;
    this.#platform = deps.platform;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#wake = deps.wake;
  }

  /** The last revision of which a pod was ready and that is on record. */
  revisionOf(agentKey: string, agent: Agent): string | undefined {
    return this.#memoryOf(agentKey, agent).recorded ?? agent.status?.lastReadyRevision;
  }

  /** A pod of this revision is ready. */
  record(agentKey: string, agent: Agent, verdict: Serving, signal: AbortSignal): void {
    const memory = this.#memoryOf(agentKey, agent);
    const { revision } = verdict;
    this.#run(agentKey, memory, signal, `cannot record the revision ${revision}`, async () => {
      await this.#write(agentKey, agent, verdict);
      memory.recorded = revision;
    });
  }

  /**
   * The last good revision of an Agent whose present one cannot start; undefined where it is of no help.
   *
   * @returns `loading` while nobody knows yet, which is not for long
   */
  insteadOf(agentKey: string, agent: Agent, present: Serving, signal: AbortSignal): Serving | 'loading' | undefined {
    const revision = this.revisionOf(agentKey, agent);
    if (revision === undefined) return undefined;
    const memory = this.#memoryOf(agentKey, agent);
    const { loaded } = memory;
    const isTried = loaded?.revision === revision;
    if (loaded === undefined || !isTried || loaded.pods === undefined) {
      this.#run(agentKey, memory, signal, `cannot read the last good revision, ${revision}`, async () => {
        try {
          memory.loaded = { revision, pods: await this.#load(agentKey, revision) };
        } catch (error) {
          memory.loaded = { revision, pods: undefined };
          throw error;
        }
      });
      return isTried ? undefined : 'loading';
    }
    const verdict = this.#judge(agent, memory, loaded.pods);
    if (!verdict.ok)
      this.#say(agentKey, memory.said, `cannot use the last good revision, ${revision}`, { reason: verdict.message });
    return verdict.ok && verdict.revision !== present.revision && verdict.spec.protocol === 'Http'
      ? verdict
      : undefined;
  }

  /** The Agent is gone. */
  forget(agentKey: string): void {
    this.#memories.delete(agentKey);
  }

  #memoryOf(agentKey: string, { metadata: { uid } }: Agent): Memory {
    const known = this.#memories.get(agentKey);
    if (known?.uid === uid) return known;
    const memory: Memory = { uid, busy: new Set(), said: new Set() };
    this.#memories.set(agentKey, memory);
    return memory;
  }

  /** With the present scaling and limits, under the present rules. */
  #judge(agent: Agent, memory: Memory, pods: object): AgentVerdict {
    const { judged } = memory;
    if (judged?.agent === agent && judged.pods === pods) return judged.verdict;
    const verdict = judgeAgent({ ...agent, spec: withPodPart(agent.spec, pods) }, this.#platform);
    memory.judged = { agent, pods, verdict };
    return verdict;
  }

  async #write(agentKey: string, agent: Agent, verdict: Serving): Promise<void> {
    const { namespace, name } = splitKey(agentKey);
    const labelSelector = `${labels.agent}=${name}`;
    const { items } = await this.#api.list(controllerRevisions, { namespace, labelSelector });
    const { inTheWay, create, remove } = planRecord(agent, verdict, items);
    for (const old of inTheWay === undefined ? remove : [inTheWay, ...remove]) {
      try {
        await this.#api.delete(controllerRevisions, refOf(old), { uid: old.metadata.uid });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    if (create === undefined) return;
    try {
      await this.#api.create(controllerRevisions, namespace, create);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  async #load(agentKey: string, revision: string): Promise<object> {
    const { namespace, name } = splitKey(agentKey);
    const record = await this.#api.get(controllerRevisions, { namespace, name: recordName(name, revision) });
    const pods = podPartIn(record);
    if (pods === undefined) throw new Error(`ControllerRevision ${record.metadata.name} holds no spec`);
    return pods;
  }

  /** Does it beside the loop, and wakes that then. What fails is said once, and tried again now and then. */
  #run(
    agentKey: string,
    { busy, said }: Memory,
    signal: AbortSignal,
    complaint: string,
    task: () => Promise<void>,
  ): void {
    if (busy.has(complaint)) return;
    busy.add(complaint);
    this.#background.run(agentKey, async () => {
      if (signal.aborted) return;
      try {
        await task();
        busy.delete(complaint);
      } catch (error) {
        this.#say(agentKey, said, complaint, { err: error });
        this.#clock.setTimeout(() => {
          busy.delete(complaint);
          this.#wake(agentKey);
        }, AGAIN_MS);
      }
      this.#wake(agentKey);
    });
  }

  #say(agentKey: string, said: Set<string>, complaint: string, why: object): void {
    if (said.has(complaint)) return;
    said.add(complaint);
    this.#logger.warn({ ...why, agent: agentKey }, complaint);
  }
}
