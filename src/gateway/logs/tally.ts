/** How many there are now: of each, and all together. */
export class Tally {
  readonly #counts = new Map<string, number>();
  #all = 0;

  get all(): number {
    return this.#all;
  }

  of(who: string): number {
    return this.#counts.get(who) ?? 0;
  }

  add(who: string): void {
    this.#all += 1;
    this.#counts.set(who, this.of(who) + 1);
  }

  remove(who: string): void {
    this.#all -= 1;
    const left = this.of(who) - 1;
    if (left === 0) this.#counts.delete(who);
    else this.#counts.set(who, left);
  }
}
