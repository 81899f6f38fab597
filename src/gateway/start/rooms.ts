import type { KubeApi } from '../../kube/api.ts';
import { find } from '../../kube/find.ts';
import { secrets } from '../../kube/resources.ts';
import type { BotHeaders } from '../../supervisor/wire.ts';
import { Problem } from '../problems.ts';
import type { Daily, Room, RoomOrder } from './daily.ts';

/** The Secret of an organization's key for Daily, and where in it. */
const SECRET = { name: 'bullpen-daily', key: 'apiKey' };

/** How long a caller waits, beyond their time, for their token. */
const JOIN_TIMEOUT_MS = 5_000;

/** What the caller of a start gets of its room. */
export interface RoomReply {
  dailyRoom: string;
  dailyToken: string;
}

/** The room of one start: made for the session, or, when the start is a repetition, joined. */
export class SessionRoom {
  readonly #daily: Daily;
  readonly #readKey: () => Promise<string>;
  readonly #order: Omit<RoomOrder, 'name'>;
  #key: Promise<string> | undefined;
  #made: Room | undefined;

  constructor(daily: Daily, readKey: () => Promise<string>, order: Omit<RoomOrder, 'name'>) {
    this.#daily = daily;
    this.#readKey = readKey;
    this.#order = order;
  }

  /** Makes it; returns what the agent is told. @throws Problem DailyFailed, or BadRequest when there is no key for Daily */
  async make(name: string): Promise<BotHeaders> {
    this.#made = await this.#daily.createRoom(await this.#keyOnce(), { ...this.#order, name });
    return { 'x-daily-room-url': this.#made.url, 'x-daily-room-token': this.#made.agentToken };
  }

  /** The start was refused: nobody is to be in it. What stays behind because this fails goes at its time. */
  async undo(): Promise<void> {
    if (this.#made?.isMade !== true) return;
    await this.#daily.deleteRoom(await this.#keyOnce(), this.#made.name).catch(() => undefined);
  }

  /** @throws Problem DailyFailed, or BadRequest when there is no key for Daily */
  async reply(name: string): Promise<RoomReply> {
    const { url, callerToken } =
      this.#made?.name === name
        ? this.#made
        : await this.#daily.joinRoom(await this.#keyOnce(), {
            ...this.#order,
            name,
            // The session runs: its caller gets in also where it was found in the last moment.
            signal: AbortSignal.timeout(JOIN_TIMEOUT_MS),
          });
    return { dailyRoom: url, dailyToken: callerToken };
  }

  /** Read only when it is needed: a start that finds the Agent full asks nobody for anything. */
  #keyOnce(): Promise<string> {
    return (this.#key ??= this.#readKey());
  }
}

/** Rooms of Daily's, with the key of each organization. */
export class Rooms {
  readonly #api: KubeApi;
  readonly #daily: Daily;

  constructor(deps: { api: KubeApi; daily: Daily }) {
    this.#api = deps.api;
    this.#daily = deps.daily;
  }

  /** Nobody is asked for anything yet. */
  order(namespace: string, order: Omit<RoomOrder, 'name'>): SessionRoom {
    return new SessionRoom(this.#daily, () => this.#key(namespace, order.signal), order);
  }

  /** @throws Problem BadRequest when the organization has no key for Daily */
  async #key(namespace: string, signal: AbortSignal): Promise<string> {
    const secret = await find(this.#api, secrets, { namespace, name: SECRET.name }, { signal });
    const key = Buffer.from(secret?.data?.[SECRET.key] ?? '', 'base64')
      .toString('utf8')
      .trim();
    if (key === '')
      throw new Problem('BadRequest', {
        error: `This organization has no key for Daily: put it into the Secret ${SECRET.name} of namespace ${namespace}, under ${SECRET.key}`,
      });
    return key;
  }
}
