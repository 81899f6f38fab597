/** The labels that say whose a series is. `agent` is empty for a Session that named no existing Agent. */
export interface AgentKey {
  readonly namespace: string;
  readonly agent: string;
}

/** How long the counters of a deleted Agent stay after their last change: long enough to be scraped. */
const keepMs = 10 * 60_000;

/**
 * Which series belong to which Agent, so that they can go when the Agent is gone.
 *
 * - *live* (after {@link live}): the Agent exists; its series stay.
 * - *fading* (after {@link forget}, or touched without ever being live): its Sessions may still end, so its counters
 *   must count and be scraped; they are removed ten minutes after their last change.
 *
 * Without this, whoever may create and delete Agents (or name Agents that do not exist) would grow the registry
 * without bound. Expiry happens when something changes or is scraped: no timer keeps an idle program awake.
 */
export class AgentSeries {
  readonly #now: () => number;
  readonly #liveKeys = new Set<string>();
  /** Time of the last change, oldest first: a change deletes and inserts again. */
  readonly #fading = new Map<string, number>();
  readonly #removers = new Map<string, Map<string, () => void>>();

  /** @param now monotonic time in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The Agent exists. */
  live(agent: AgentKey): void {
    const key = keyOf(agent);
    this.#liveKeys.add(key);
    this.#fading.delete(key);
  }

  /** The Agent is gone: its series go too, in time. */
  forget(agent: AgentKey): void {
    const key = keyOf(agent);
    this.#liveKeys.delete(key);
    if (this.#removers.has(key)) this.#fade(key);
    this.sweep();
  }

  /** A series of this Agent changed. `remove` takes it out of the registry; `id` names it among the Agent's series. */
  touch(agent: AgentKey, id: string, remove: () => void): void {
    const key = keyOf(agent);
    const removers = this.#removers.get(key) ?? new Map<string, () => void>();
    this.#removers.set(key, removers.set(id, remove));
    if (!this.#liveKeys.has(key)) this.#fade(key);
    this.sweep();
  }

  /** Removes the series whose time has come. Costs nothing when there are none. */
  sweep(): void {
    const expired = this.#now() - keepMs;
    for (const [key, changedAt] of this.#fading) {
      if (changedAt > expired) return;
      this.#fading.delete(key);
      for (const remove of this.#removers.get(key)?.values() ?? []) remove();
      this.#removers.delete(key);
    }
  }

  #fade(key: string): void {
    this.#fading.delete(key);
    this.#fading.set(key, this.#now());
  }
}

/** A `/` cannot be part of either name. */
function keyOf({ namespace, agent }: AgentKey): string {
  return `${namespace}/${agent}`;
}
