import { z } from 'zod';
import { Problem } from '../problems.ts';

/** Daily answers in well under a second, or something is wrong; a caller waits. */
const TIMEOUT_MS = 10_000;
/** What is taken away is waited for only that long: a caller is told that their start failed. */
const DELETE_TIMEOUT_MS = 2_000;

/** When a caller may try again whose organization asks too much of Daily, where that does not say. */
const RETRY_AFTER_SECONDS = 5;

/** A room outlives its session by this much, for whoever is slow to leave. */
const ROOM_SLACK_SECONDS = 300;

const room = z.object({ name: z.string(), url: z.string() });
const token = z.object({ token: z.string() });

/** A room for one session: the agent and the caller each get a token of their own. */
export interface Room {
  name: string;
  url: string;
  /** By this very order, and not by one before it. */
  isMade: boolean;
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
  /** Whether the same may be ordered again, also meanwhile and by another replica: the room is theirs, too. */
  isShared: boolean;
  /** Aborted when nobody waits for it any longer. */
  signal: AbortSignal;
}

interface Asked {
  body?: object;
  /** Statuses that are as good as done. */
  fine?: readonly number[];
  /** Whether there is something of the caller's in it, who may have made a mistake. */
  isCallers?: boolean;
  /** Gives it up. */
  signal: AbortSignal;
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

  /** @throws Problem DailyFailed; BadRequest where Daily does not take the properties; Unavailable where it has too much to do */
  async createRoom(key: string, order: RoomOrder): Promise<Room> {
    const { name, seconds, roomProperties, isShared, signal } = order;
    const exp = this.#expiry(seconds);
    const properties = { exp, eject_at_room_exp: true, ...roomProperties };
    const given = { name, properties };
    let isMade = true;
    const made = await this.#call(key, 'POST', '/rooms', room, {
      body: given,
      isCallers: roomProperties !== undefined,
      signal,
    }).catch(async (error: unknown) => {
      if (isTooMuch(error)) throw error;
      // A request that comes again finds the room of the one before, where that was cut off.
      const before = await this.#find(key, order);
      if (before === undefined) throw error;
      isMade = false;
      return before;
    });
    try {
      const [agentToken, callerToken] = await Promise.all([
        this.#tokenFor(key, made.name, { exp, is_owner: true }, { signal }),
        this.#callerToken(key, made.name, exp, order),
      ]);
      return { ...made, isMade, agentToken, callerToken };
    } catch (error) {
      // Another request may have found it meanwhile. What stays goes at its time.
      if (!isShared) await this.deleteRoom(key, made.name).catch(() => undefined);
      throw error;
    }
  }

  /** A token for the caller of a room that there is. @throws Problem DailyFailed */
  async joinRoom(key: string, order: RoomOrder): Promise<Pick<Room, 'url' | 'callerToken'>> {
    const found = await this.#read(key, order);
    const callerToken = await this.#callerToken(key, found.name, this.#expiry(order.seconds), order);
    return { url: found.url, callerToken };
  }

  async #find(key: string, { name, signal }: RoomOrder): Promise<z.output<typeof room> | undefined> {
    const path = `/rooms/${encodeURIComponent(name)}`;
    return await this.#call(key, 'GET', path, room.optional(), { fine: [404], signal });
  }

  async #read(key: string, { name, signal }: RoomOrder): Promise<z.output<typeof room>> {
    return await this.#call(key, 'GET', `/rooms/${encodeURIComponent(name)}`, room, { signal });
  }

  /** When what is made now is over, Unix seconds. */
  #expiry(seconds: number): number {
    return Math.ceil(this.#now() / 1000) + seconds + ROOM_SLACK_SECONDS;
  }

  async #callerToken(key: string, roomName: string, exp: number, order: RoomOrder): Promise<string> {
    const { tokenProperties: given, signal } = order;
    return await this.#tokenFor(key, roomName, { exp, ...given }, { isCallers: given !== undefined, signal });
  }

  async #tokenFor(key: string, roomName: string, more: object, asked: Asked): Promise<string> {
    const body = { properties: { ...more, room_name: roomName } };
    return (await this.#call(key, 'POST', '/meeting-tokens', token, { ...asked, body })).token;
  }

  /** @throws Problem DailyFailed, unless there is no such room */
  async deleteRoom(key: string, name: string): Promise<void> {
    await this.#call(key, 'DELETE', `/rooms/${encodeURIComponent(name)}`, z.unknown(), {
      fine: [404],
      signal: AbortSignal.timeout(DELETE_TIMEOUT_MS),
    });
  }

  async #call<T>(
    key: string,
    method: string,
    path: string,
    schema: z.ZodType<T>,
    { body, fine = [], isCallers = false, signal }: Asked,
  ): Promise<T> {
    let status: number;
    let text: string;
    let retryAfter: string | null;
    try {
      const response = await this.#fetch(`${this.#base}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), signal]),
        redirect: 'error',
      });
      status = response.status;
      retryAfter = response.headers.get('retry-after');
      text = await response.text();
    } catch (cause) {
      throw new Problem('DailyFailed', { error: 'Daily does not answer', cause });
    }
    if (fine.includes(status)) return schema.parse(undefined);
    if (status === 401 || status === 403)
      throw new Problem('DailyFailed', {
        error: 'Daily refuses the key of this organization: put a valid one into its Secret',
      });
    if (status === 429)
      throw new Problem('Unavailable', {
        error: 'Daily is asked too often with the key of this organization. Please try again.',
        retryAfterSeconds: secondsOf(retryAfter),
      });
    const reason = reasonIn(text).replaceAll(key, '[key]').slice(0, 300);
    if (status === 400 && isCallers)
      throw new Problem('BadRequest', { error: `Invalid parameters: Daily does not take these properties: ${reason}` });
    const parsed = schema.safeParse(jsonOf(text));
    if (status >= 300 || !parsed.success)
      throw new Problem('DailyFailed', {
        error: `Daily answered ${method} ${path.split('/')[1] ?? ''} with status ${status}: ${reason}`,
      });
    return parsed.data;
  }
}

function isTooMuch(error: unknown): boolean {
  return error instanceof Problem && error.kind === 'Unavailable';
}

/** Of a `Retry-After`, which may also be a date, or senseless. */
function secondsOf(header: string | null): number {
  return header !== null && /^[1-9]\d{0,2}$/.test(header) ? Number(header) : RETRY_AFTER_SECONDS;
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
  return parsed.success ? parsed.data.info : 'no reason given';
}
