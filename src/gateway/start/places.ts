import type { Agent } from '../../api/agent.ts';
import { parseAgentSpec } from '../../api/parse.ts';
import type { Session } from '../../api/session.ts';
import { isActive } from '../../api/session-phase.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import { INDEX } from '../caches.ts';
import { Problem } from '../problems.ts';

interface Limits {
  /** Undefined where nobody can tell. */
  maxAgents: number | undefined;
  /** From how many open Sessions on a new one is refused here. */
  refusesAt: number;
}

/** When a caller may try again who found the Agent full: sessions end all the time, and nobody can say when. */
const RETRY_AFTER_SECONDS = 5;

/** The places of Agents, as far as the cache shows them: it refuses early what the controller would refuse. */
export class Places {
  readonly #sessions: Store<Session>;
  /** Names of the Sessions that are being made, by Agent. */
  readonly #making = new Map<string, Set<string>>();
  /** An object never changes; to parse it for every start would cost more than the rest. */
  readonly #limits = new WeakMap<Agent, Limits>();

  constructor(sessions: Store<Session>) {
    this.#sessions = sessions;
  }

  /**
   * Refuses at once where the cache already shows that the Agent is full: Sessions that were asked for earlier and wait come first.
   *
   * @throws Problem AtCapacity
   */
  check(agent: Agent): void {
    const open = this.#sessions.countByIndex(INDEX.openByAgent, keyOf(agent));
    if (open + this.#unseen(agent) >= this.#limitsOf(agent).refusesAt) throw this.refusal(agent);
  }

  /** What a caller is told who found the Agent full. */
  refusal(agent: Agent, more: object = {}): Problem {
    const activeSessions = this.#sessions.byIndex(INDEX.openByAgent, keyOf(agent)).filter(isActive).length;
    const { maxAgents } = this.#limitsOf(agent);
    return new Problem('AtCapacity', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      more: { activeSessions, maxAgents, ...more },
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

  #limitsOf(agent: Agent): Limits {
    const known = this.#limits.get(agent);
    if (known !== undefined) return known;
    const parsed = parseAgentSpec(agent.spec);
    const maxAgents = parsed.ok ? parsed.spec.scaling.maxAgents : undefined;
    // Where Sessions wait for their turn, or nobody can tell, the controller decides.
    const decides = parsed.ok && parsed.spec.whenFull === 'Reject';
    const limits = { maxAgents, refusesAt: decides ? parsed.spec.scaling.maxAgents : Infinity };
    this.#limits.set(agent, limits);
    return limits;
  }
}
