import type { KubeApi } from '../../kube/api.ts';
import { find } from '../../kube/find.ts';
import { secrets } from '../../kube/resources.ts';
import type { BotHeaders } from '../../supervisor/wire.ts';
import { Problem } from '../problems.ts';
import type { Daily, Room, RoomOrder } from './daily.ts';

/** The Secret of an organization's key for Daily, and where in it. */
const SECRET = { name: 'bullpen-daily', key: 'apiKey' };

/** What the caller of a start gets of its room. */
export interface RoomReply {
  dailyRoom: string;
  dailyToken: string;
}

/** The room of one start: made for the session, or, when the start is a repetition, joined. */
export class SessionRoom {
  readonly #daily: Daily;
  readonly #key: string;
  readonly #order: Omit<RoomOrder, 'name'>;
  #made: Room | undefined;

  constructor(daily: Daily, key: string, order: Omit<RoomOrder, 'name'>) {
    this.#daily = daily;
    this.#key = key;
    this.#order = order;
  }

  /** Makes it; returns what the agent is told. @throws Problem DailyFailed */
  async make(name: string): Promise<BotHeaders> {
    this.#made = await this.#daily.createRoom(this.#key, { ...this.#order, name });
    return { 'x-daily-room-url': this.#made.url, 'x-daily-room-token': this.#made.agentToken };
  }

  /** The start was refused: nobody is to be in it. What stays behind because this fails goes at its time. */
  async undo(): Promise<void> {
    if (this.#made !== undefined) await this.#daily.deleteRoom(this.#key, this.#made.name).catch(() => undefined);
  }

  /** @throws Problem DailyFailed */
  async reply(name: string): Promise<RoomReply> {
    const { url, callerToken } =
      this.#made?.name === name ? this.#made : await this.#daily.joinRoom(this.#key, { ...this.#order, name });
    return { dailyRoom: url, dailyToken: callerToken };
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

  /** @throws Problem BadRequest when the organization has no key for Daily */
  async order(namespace: string, order: Omit<RoomOrder, 'name'>): Promise<SessionRoom> {
    return new SessionRoom(this.#daily, await this.#key(namespace), order);
  }

  async #key(namespace: string): Promise<string> {
    const secret = await find(this.#api, secrets, { namespace, name: SECRET.name });
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
