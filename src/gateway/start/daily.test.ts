import { describe, expect, it } from 'vitest';
import { Problem } from '../problems.ts';
import { Daily, type RoomOrder } from './daily.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const KEY = 'daily-key-that-nobody-may-see';
const order: RoomOrder = {
  name: 'the-session',
  seconds: 100,
  isShared: false,
  signal: new AbortController().signal,
};

interface Asked {
  method: string;
  path: string;
  key: string;
  body: Record<string, unknown>;
}

/** Daily, as far as it is asked: what it is told, and what it says. */
function play(answers: Record<string, (body: Record<string, unknown>) => Response | Error | 'never'> = {}) {
  const asked: Asked[] = [];
  const defaults: typeof answers = {
    'POST /v1/rooms': ({ name }) => Response.json({ name, url: `https://example.daily.co/${String(name)}` }),
    'POST /v1/meeting-tokens': ({ properties }) => Response.json({ token: JSON.stringify(properties) }),
    'DELETE /v1/rooms/the-session': () => Response.json({ deleted: true }),
  };
  const daily = new Daily({
    baseUrl: 'https://daily.example/v1/',
    now: () => NOW,
    fetch: (url, init = {}) => {
      const { pathname: path } = new URL(url);
      const body = JSON.parse((init.body as string | undefined) ?? '{}') as Record<string, unknown>;
      const method = init.method ?? '';
      asked.push({ method, path, key: new Headers(init.headers).get('authorization') ?? '', body });
      const answer = { ...defaults, ...answers }[`${method} ${path}`]?.(body) ?? new Response('', { status: 404 });
      const signal = init.signal ?? undefined;
      if (signal?.aborted === true) return Promise.reject(new Error('aborted'));
      if (answer === 'never')
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))));
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });
  return { daily, asked };
}

describe('a room', () => {
  it('is made for the session, and goes when that must be over', async () => {
    const { daily, asked } = play();
    const room = await daily.createRoom(KEY, { ...order, roomProperties: { start_video_off: false } });
    expect(asked[0]).toMatchObject({
      key: `Bearer ${KEY}`,
      body: { name: 'the-session', properties: { exp: NOW / 1000 + 400, start_video_off: false } },
    });
    expect(room.url).toBe('https://example.daily.co/the-session');
  });

  it('has a token for the agent, who owns it, and one for the caller, who does not', async () => {
    const { daily } = play();
    const room = await daily.createRoom(KEY, { ...order, tokenProperties: { user_name: 'Ada', room_name: 'another' } });
    expect(JSON.parse(room.agentToken)).toMatchObject({ is_owner: true, room_name: 'the-session' });
    const caller = JSON.parse(room.callerToken) as object;
    expect(caller).toMatchObject({ user_name: 'Ada', room_name: 'the-session' });
    expect(caller).not.toHaveProperty('is_owner');
  });

  it('is taken away again when there are no tokens to be had', async () => {
    const { daily, asked } = play({ 'POST /v1/meeting-tokens': () => new Response('', { status: 500 }) });
    await expect(daily.createRoom(KEY, order)).rejects.toThrow(Problem);
    expect(asked.at(-1)).toMatchObject({ method: 'DELETE', path: '/v1/rooms/the-session' });
  });

  it('that another request may be using is left where its tokens cannot be had', async () => {
    const failing = () => new Response('', { status: 500 });
    for (const isShared of [true, false]) {
      const { daily, asked } = play({ 'POST /v1/meeting-tokens': failing });
      await expect(daily.createRoom(KEY, { ...order, isShared })).rejects.toThrow('status 500');
      expect(asked.some(({ method }) => method === 'DELETE')).toBe(!isShared);
    }
  });

  it('is not blamed on the caller where nobody can tell whether it is there', async () => {
    const { daily } = play({
      'POST /v1/rooms': () => Response.json({ info: 'it exists' }, { status: 400 }),
      'GET /v1/rooms/the-session': () => new Response('', { status: 500 }),
    });
    await expect(daily.createRoom(KEY, { ...order, roomProperties: {} })).rejects.toMatchObject({
      kind: 'DailyFailed',
    });
  });

  it('that is there already is joined: a start that was cut off comes again', async () => {
    const { daily, asked } = play({
      'POST /v1/rooms': () => Response.json({ info: 'a room named the-session already exists' }, { status: 400 }),
      'GET /v1/rooms/the-session': () => Response.json({ name: 'the-session', url: 'https://example.daily.co/before' }),
    });
    const room = await daily.createRoom(KEY, order);
    expect(room.url).toBe('https://example.daily.co/before');
    expect(JSON.parse(room.agentToken)).toMatchObject({ is_owner: true });
    expect(asked.some(({ method }) => method === 'DELETE')).toBe(false);
  });

  it.each([['POST /v1/rooms'], ['POST /v1/meeting-tokens']])(
    'is given up when nobody waits for it any longer, and nothing is left: %s',
    async (call) => {
      const gone = new AbortController();
      const { daily, asked } = play({ [call]: () => 'never' });
      const made = daily.createRoom(KEY, { ...order, signal: gone.signal });
      await new Promise((resolve) => setImmediate(resolve));
      const { length } = asked;
      gone.abort();
      await expect(made).rejects.toMatchObject({ kind: 'DailyFailed' });
      const [last] = asked.slice(length);
      expect(last).toMatchObject({
        method: call === 'POST /v1/rooms' ? 'GET' : 'DELETE',
        path: '/v1/rooms/the-session',
      });
    },
  );

  it('that is gone already is as good as deleted', async () => {
    const { daily } = play({ 'DELETE /v1/rooms/the-session': () => new Response('', { status: 404 }) });
    await daily.deleteRoom(KEY, 'the-session');
  });
});

describe('what Daily does not do', () => {
  it.each<[string, () => Response | Error, RegExp]>([
    ['it refuses the key', () => new Response('', { status: 401 }), /refuses the key/],
    ['it does not answer', () => new Error(`connect ${KEY}`), /does not answer/],
    [
      'it says what is wrong',
      () => Response.json({ info: 'invalid property x' }, { status: 400 }),
      /status 400: invalid property x/,
    ],
    ['it talks nonsense', () => new Response('<html>'), /status 200: no reason/],
  ])('is said, and never the key: %s', async (_, answer, text) => {
    const { daily } = play({ 'POST /v1/rooms': answer });
    const error = await daily.createRoom(KEY, order).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: 'DailyFailed', message: expect.stringMatching(text) as string });
    expect(JSON.stringify((error as Problem).body)).not.toContain(KEY);
  });

  const info = `unknown parameter 'x' ${KEY} ${'x'.repeat(1000)}`;
  /** Of a room or of a token, where that was asked for with `x`. */
  const refused = ({ properties }: Record<string, unknown>): Response =>
    'x' in (properties as object) ? Response.json({ info }, { status: 400 }) : Response.json({ token: 't' });

  it.each([
    ['room', 'POST /v1/rooms', { roomProperties: { x: 1 } }],
    ['token', 'POST /v1/meeting-tokens', { tokenProperties: { x: 1 } }],
  ])('for a mistake in the properties of a %s is told to the caller, in short', async (_, call, properties) => {
    const { daily } = play({ [call]: refused });
    const error = await daily.createRoom(KEY, { ...order, ...properties }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      kind: 'BadRequest',
      message: expect.stringMatching(/unknown parameter 'x'/) as string,
    });
    const said = (error as Problem).message;
    expect(said.length).toBeLessThan(400);
    expect(said).not.toContain(KEY);
  });

  it.each([
    ['7', 7],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 5],
    [undefined, 5],
  ])('for it is asked too often is to be tried again, with Retry-After %s in %i s', async (header, seconds) => {
    const headers = header === undefined ? {} : { 'retry-after': header };
    const { daily, asked } = play({ 'POST /v1/rooms': () => new Response('', { status: 429, headers }) });
    await expect(daily.createRoom(KEY, order)).rejects.toMatchObject({
      kind: 'Unavailable',
      retryAfterSeconds: seconds,
    });
    expect(asked).toHaveLength(1);
  });
});
