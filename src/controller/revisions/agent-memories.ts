import type { Agent } from '../../api/agent.ts';

/** What is remembered of each Agent. Of one that was deleted and made again under its name nothing is. */
export class AgentMemories<T> {
  readonly #fresh: () => T;
  readonly #known = new Map<string, { uid: string; memory: T }>();

  /** @param fresh what is known of an Agent in the beginning */
  constructor(fresh: () => T) {
    this.#fresh = fresh;
  }

  of(agentKey: string, { metadata: { uid } }: Agent): T {
    const known = this.#known.get(agentKey);
    if (known?.uid === uid) return known.memory;
    const memory = this.#fresh();
    this.#known.set(agentKey, { uid, memory });
    return memory;
  }

  forget(agentKey: string): void {
    this.#known.delete(agentKey);
  }
}
