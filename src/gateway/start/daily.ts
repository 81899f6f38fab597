import { z } from 'zod';
import { Problem } from '../problems.ts';

/** Daily answers in well under a second, or something is wrong; a caller waits. */
const TIMEOUT_MS = 10_000;

/** A room outlives its session by this much, for whoever is slow to leave. */
const ROOM_SLACK_SECONDS = 300;

const room = z.object({ name: z.string(), url: z.string() });
const token = z.object({ token: z.string() });

/** A room for one session: the agent and the caller each get a token of their own. */
export interface Room {
  name: string;
  url: string;
  /** An owner's. */
  agentToken: string;
  callerToken: string;
}

export interface RoomOrder {
  /** The session's id: whoever sweeps rooms knows them by it. */
  name: string;
  /** How long the session may last in all, in seconds. */
  seconds: number;
  roomProperties?: Record<string, unknown> | undefined;
  tokenProperties?: Record<string, unknown> | undefined;
}

/** Daily's REST API, as far as sessions need it. Errors never hold a key or a token. */
export class Daily {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  readonly #now: () => number;

  /** @param deps.now Unix milliseconds */
  constructor(deps: { baseUrl: string; fetch: typeof fetch; now: () => number }) {
    this.#base = deps.baseUrl.replace(/\/$/, '');
    this.#fetch = deps.fetch;
    this.#now = deps.now;
  }

  /** @throws Problem DailyFailed */
  async createRoom(key: string, { name, seconds, roomProperties, tokenProperties }: RoomOrder): Promise<Room> {
    const exp = this.#expiry(seconds);
    const properties = { exp, eject_at_room_exp: true, ...roomProperties };
    const made = await this.#call(key, 'POST', '/rooms', room, { name, properties }).catch(async (error: unknown) => {
      // A request that comes again finds the room of the one before, where that was cut off.
      const before = await this.#find(key, name);
      if (before === undefined) throw error;
      return before;
    });
    try {
      const [agentToken, callerToken] = await Promise.all([
        this.#tokenFor(key, made.name, { exp, is_owner: true }),
        this.#tokenFor(key, made.name, { exp, ...tokenProperties }),
      ]);
      return { ...made, agentToken, callerToken };
    } catch (error) {
      await this.deleteRoom(key, made.name).catch(() => undefined); // It goes at its time.
      throw error;
    }
  }

  /** A token for the caller of a room that there is. @throws Problem DailyFailed */
  async joinRoom(
    key: string,
    { name, seconds, tokenProperties }: RoomOrder,
  ): Promise<Pick<Room, 'url' | 'callerToken'>> {
    const found = await this.#call(key, 'GET', `/rooms/${encodeURIComponent(name)}`, room);
    const callerToken = await this.#tokenFor(key, found.name, { exp: this.#expiry(seconds), ...tokenProperties });
    return { url: found.url, callerToken };
  }

  async #find(key: string, name: string): Promise<z.output<typeof room> | undefined> {
    return await this.#call(key, 'GET', `/rooms/${encodeURIComponent(name)}`, room).catch(() => undefined);
  }

  /** When what is made now is over, Unix seconds. */
  #expiry(seconds: number): number {
    return Math.ceil(this.#now() / 1000) + seconds + ROOM_SLACK_SECONDS;
  }

  async #tokenFor(key: string, roomName: string, more: object): Promise<string> {
    const properties = { ...more, room_name: roomName };
    return (await this.#call(key, 'POST', '/meeting-tokens', token, { properties })).token;
  }

  /** @throws Problem DailyFailed, unless there is no such room */
  async deleteRoom(key: string, name: string): Promise<void> {
    await this.#call(key, 'DELETE', `/rooms/${encodeURIComponent(name)}`, z.unknown(), undefined, [404]);
  }

  async #call<T>(
    key: string,
    method: string,
    path: string,
    schema: z.ZodType<T>,
    body?: object,
    fine: readonly number[] = [],
  ): Promise<T> {
    let status: number;
    let text: string;
    try {
      const response = await this.#fetch(`${this.#base}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
        redirect: 'error',
      });
      status = response.status;
      text = await response.text();
    } catch (cause) {
      throw new Problem('DailyFailed', { error: 'Daily does not answer', cause });
    }
    if (fine.includes(status)) return schema.parse(undefined);
    if (status === 401 || status === 403)
      throw new Problem('DailyFailed', {
        error: 'Daily refuses the key of this organization: put a valid one into its Secret',
      });
    const parsed = schema.safeParse(jsonOf(text));
    if (status >= 300 || !parsed.success)
      throw new Problem('DailyFailed', {
        error: `Daily answered ${method} ${path.split('/')[1] ?? ''} with status ${status}: ${reasonIn(text)}`,
      });
    return parsed.data;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What Daily says is wrong, for people: its `info`, which speaks of the properties that it was given. */
function reasonIn(text: string): string {
  const parsed = z.object({ info: z.string() }).safeParse(jsonOf(text));
  return parsed.success ? parsed.data.info.slice(0, 300) : 'no reason given';
}
