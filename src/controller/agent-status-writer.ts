import type { Agent, AgentStatus } from '../api/agent.ts';
import { agents } from '../api/resources.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Clock } from '../kube/clock.ts';
import { isTrue } from '../kube/conditions.ts';
import type { Store } from '../kube/store.ts';
import type { AgentVerdict } from './agent-state.ts';
import { agentStatus, isMoreThanCounts, sameCounts, type AgentCounts, type KnownRevisions } from './agent-status.ts';
import type { Announcer } from './announcer.ts';
import type { PoolReport } from './pool/pool-keeper.ts';
import { writeStatus } from './write-status.ts';

/** Counts change with every session: they are written at most this often, so that an Agent costs no write per session. */
const COUNTS_EVERY_MS = 10_000;

/** Writes the status of Agents: conditions at once, counts now and then. */
export class AgentStatusWriter {
  readonly #api: KubeApi;
  readonly #store: Store<Agent>;
  readonly #announcer: Announcer;
  readonly #clock: Clock;
  readonly #countsWrittenAt = new Map<string, number>();

  constructor(deps: { api: KubeApi; store: Store<Agent>; announcer: Announcer; clock: Clock }) {
    this.#api = deps.api;
    this.#store = deps.store;
    this.#announcer = deps.announcer;
    this.#clock = deps.clock;
  }

  /** Writes what is due; returns after how many milliseconds the rest will be, or undefined when nothing is left. */
  async write(
    key: string,
    agent: Agent,
    verdict: AgentVerdict,
    counts: AgentCounts & KnownRevisions,
    pool?: PoolReport,
  ): Promise<number | undefined> {
    const before = agent.status;
    const after = agentStatus(agent, verdict, { ...counts, pool }, this.#clock.now());
    const more = isMoreThanCounts(before, after);
    if (!more && sameCounts(before, after)) return undefined;
    const dueInMs = (this.#countsWrittenAt.get(key) ?? -Infinity) + COUNTS_EVERY_MS - this.#clock.monotonic();
    if (!more && dueInMs > 0) return dueInMs;
    this.#countsWrittenAt.set(key, this.#clock.monotonic());
    const written = await writeStatus(this.#api, agents, this.#store, agent, after);
    if (written !== undefined && becameStalled(before, after)) this.#announcer.agentStalled(agent, after);
    return undefined;
  }

  forget(key: string): void {
    this.#countsWrittenAt.delete(key);
  }
}

function becameStalled(before: AgentStatus | undefined, after: AgentStatus): boolean {
  return isTrue(after.conditions, 'Stalled') && !isTrue(before?.conditions, 'Stalled');
}
