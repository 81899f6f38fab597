/** An agent was told of a session: a byte of it may have reached it. */
export interface Telling {
  sessionUid: string;
  podUid: string;
  /** Milliseconds since the epoch, by the world's clock. */
  at: number;
}

/** What happens between controller and pods, as trouble can be timed by it. */
export const moments = [
  'createSent',
  'claimSent',
  'claimDone',
  'bindSent',
  'bound',
  'told',
  'bindDone',
  'statusSent',
  'statusDone',
  'stopSent',
] as const;
export type Moment = (typeof moments)[number];

/** Tells what happens in pods of protocol Http, and what is asked of them. */
export class Happenings {
  readonly tellings: Telling[] = [];
  /** By the pod's uid, the Sessions that its supervisor has taken. */
  readonly bound = new Map<string, string>();
  readonly #onTelling = new Set<(telling: Telling) => void>();
  readonly #onMoment = new Set<(moment: Moment, what: string) => void>();

  toldOf(sessionUid: string): Telling | undefined {
    return this.tellings.find((telling) => telling.sessionUid === sessionUid);
  }

  told(telling: Telling): void {
    for (const listener of this.#onTelling) listener(telling);
    this.tellings.push(telling);
    this.moment('told', `${telling.podUid} of ${telling.sessionUid}`);
  }

  moment(moment: Moment, what: string): void {
    for (const listener of this.#onMoment) listener(moment, what);
  }

  onTelling(listener: (telling: Telling) => void): void {
    this.#onTelling.add(listener);
  }

  onMoment(listener: (moment: Moment, what: string) => void): void {
    this.#onMoment.add(listener);
  }
}
