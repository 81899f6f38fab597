/**
 * Runs tasks that nobody waits for: those of one key in the order in which they come, and the keys by turns, so that one whose tasks are
 * slow does not hold up the others.
 */
export class Background {
  readonly #limit: number;
  readonly #perKey: number;
  /** By key; who has had a turn goes to the end. */
  readonly #waiting = new Map<string, (() => Promise<void>)[]>();
  readonly #running = new Map<string, number>();
  #total = 0;

  /**
   * @param limits.limit how many tasks run at a time
   * @param limits.perKey how many of one key
   */
  constructor({ limit, perKey }: { limit: number; perKey: number }) {
    this.#limit = limit;
    this.#perKey = perKey;
  }

  /** @param task must not reject */
  run(key: string, task: () => Promise<void>): void {
    const others = this.#waiting.get(key);
    if (others === undefined) this.#waiting.set(key, [task]);
    else others.push(task);
    this.#next();
  }

  #next(): void {
    while (this.#total < this.#limit) {
      const key = [...this.#waiting.keys()].find((each) => this.#runningOf(each) < this.#perKey);
      if (key === undefined) return;
      const tasks = this.#waiting.get(key) ?? [];
      const task = tasks.shift();
      this.#waiting.delete(key);
      if (tasks.length > 0) this.#waiting.set(key, tasks);
      if (task !== undefined) this.#start(key, task);
    }
  }

  #start(key: string, task: () => Promise<void>): void {
    this.#total += 1;
    this.#running.set(key, this.#runningOf(key) + 1);
    void task().finally(() => {
      this.#total -= 1;
      const left = this.#runningOf(key) - 1;
      if (left > 0) this.#running.set(key, left);
      else this.#running.delete(key);
      this.#next();
    });
  }

  #runningOf(key: string): number {
    return this.#running.get(key) ?? 0;
  }
}
