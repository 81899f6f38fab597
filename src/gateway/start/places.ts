import type { Agent } from '../../api/agent.ts';
import { parseAgentSpec } from '../../api/parse.ts';
import type { Session } from '../../api/session.ts';
import { isActive } from '../../api/session-phase.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import { INDEX } from '../caches.ts';
import { Problem } from '../problems.ts';

/** When a caller may try again who found the Agent full: sessions end all the time, and nobody can say when. */
export const RETRY_AFTER_SECONDS = 5;

/** The places of Agents, as far as the cache shows them: it refuses early what the controller would refuse. */
export class Places {
  readonly #sessions: Store<Session>;
  /** Names of the Sessions that are being made, by Agent. */
  readonly #making = new Map<string, Set<string>>();
  /** An object never changes; to parse it for every start would cost more than the rest. */
  readonly #capacity = new WeakMap<Agent, number>();

  constructor(sessions: Store<Session>) {
    this.#sessions = sessions;
  }

  /**
   * Refuses at once where the cache already shows that the Agent is full: Sessions that were asked for earlier and wait come first.
   *
   * @throws Problem AtCapacity
   */
  check(agent: Agent): void {
    const open = this.#sessions.byIndex(INDEX.openByAgent, keyOf(agent));
    const taken = open.length + this.#unseen(agent);
    const capacity = this.#capacityOf(agent);
    if (taken < capacity) return;
    const active = open.filter(isActive).length;
    throw new Problem('AtCapacity', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      more: { activeSessions: active, maxAgents: capacity },
    });
  }

  /** Counts a Session for as long as it is being made. */
  async during<T>(agent: Agent, name: string, make: () => Promise<T>): Promise<T> {
    const key = keyOf(agent);
    const making = this.#making.get(key) ?? new Set();
    this.#making.set(key, making.add(name));
    try {
      return await make();
    } finally {
      making.delete(name);
      if (making.size === 0) this.#making.delete(key);
    }
  }

  /** How many are being made that the cache does not show: one that it shows may be the same start at another replica. */
  #unseen(agent: Agent): number {
    const { namespace = '' } = agent.metadata;
    const making = [...(this.#making.get(keyOf(agent)) ?? [])];
    return making.filter((name) => this.#sessions.get(keyOf({ namespace, name })) === undefined).length;
  }

  #capacityOf(agent: Agent): number {
    const known = this.#capacity.get(agent);
    if (known !== undefined) return known;
    const parsed = parseAgentSpec(agent.spec);
    // Where Sessions wait for their turn, or nobody can tell, the controller decides.
    const decides = parsed.ok && parsed.spec.whenFull === 'Reject';
    const capacity = decides ? parsed.spec.scaling.maxAgents : Infinity;
    this.#capacity.set(agent, capacity);
    return capacity;
  }
}
