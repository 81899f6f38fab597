import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { bindRequest } from '../../supervisor/wire.ts';
import { UNREACHABLE_MS } from '../session-retry.ts';
import { EPOCH } from '../testing/objects.ts';
import { Deliverer, type Order, type Signer } from './deliverer.ts';
import type { SupervisorAnswer, SupervisorRequest } from './supervisor-client.ts';

const UNREACHABLE: SupervisorAnswer = { kind: 'unreachable', message: 'connect ECONNREFUSED' };
const UNANSWERED: SupervisorAnswer = { kind: 'unanswered', message: 'socket hang up' };
const WAITING: SupervisorAnswer = { kind: 'answered', reply: { state: 'waiting' } };
const STARTED: SupervisorAnswer = { kind: 'answered', reply: { state: 'started', startedAt: EPOCH + 5_400 } };
const HEADERS = { 'x-daily-room-url': 'https://example.test/room' };
const OVER: SupervisorAnswer = { kind: 'answered', reply: { state: 'over' } };

type Signed = Parameters<Signer['sign']>;

let clock: FakeClock;
let deliverer: Deliverer;
let woken: string[];
let logged: string[];
let signed: Signed[];
/** What signing brings; an error when that fails. */
let token: string | Error | undefined;
let calls: SupervisorRequest[];
/** What was said in those that came so far. */
let said: { token: string; body?: string }[];
/** What is answered, in order; the last one again and again. Something is sent with every answer but `unreachable`. */
let answers: (SupervisorAnswer | (() => Promise<SupervisorAnswer>))[];
/** Calls that have begun and not ended. */
let underWay: number;

beforeEach(() => {
  clock = new FakeClock(EPOCH);
  woken = [];
  logged = [];
  signed = [];
  token = 'token';
  calls = [];
  said = [];
  answers = [STARTED];
  underWay = 0;
  const log = (_fields: object, message: string) => logged.push(message);
  deliverer = new Deliverer({
    signer: {
      sign: (...args) => {
        signed.push(args);
        return token instanceof Error ? Promise.reject(token) : Promise.resolve(token);
      },
    },
    call: async (request) => {
      calls.push(request);
      const next = (answers.length > 1 ? answers.shift() : answers[0]) ?? UNREACHABLE;
      underWay += 1;
      try {
        if (typeof next === 'function') return await next();
        if (next.kind === 'unreachable') return next;
        said.push(await request.say());
        // As the supervisor does, which waits for its agent before it says that it still waits.
        if (next.kind === 'answered' && next.reply.state === 'waiting') await after(8000);
        request.onSend();
        return next;
      } catch (error) {
        return { kind: 'withheld', message: (error as Error).message };
      } finally {
        underWay -= 1;
      }
    },
    clock,
    logger: { debug: log, info: log, warn: log, error: log },
    wake: (uid) => woken.push(uid),
  });
});

const after = (ms: number): Promise<void> => new Promise((resolve) => clock.setTimeout(resolve, ms));
/** An answer that does not come before the request is given up. */
const silence = () =>
  new Promise<SupervisorAnswer>((resolve) =>
    calls.at(-1)?.signal.addEventListener('abort', () => resolve({ kind: 'unanswered', message: 'aborted' })),
  );

/** An answer that comes without delay, as from somebody else who has the port. */
const atOnce = (answer: SupervisorAnswer) => async () => {
  const call = calls.at(-1);
  await call?.say();
  call?.onSend();
  return answer;
};

function order(pod = 'pod-1', more: Partial<Order> = {}): Order {
  return {
    sessionUid: 's',
    to: { podUid: pod, host: '10.0.0.7', kids: ['c1'] },
    request: { uid: 's', sessionId: 'id', maxSessionSeconds: 600 },
    message: () => Promise.resolve({ headers: HEADERS, bytes: Buffer.from('{"hello":1}') }),
    startBy: EPOCH + 120_000,
    ...more,
  };
}

/** Hands a Session over to a pod that this process has bound. */
async function deliver(given = order()): Promise<void> {
  deliverer.bound(given.sessionUid, given.to.podUid);
  deliverer.deliver(given);
  await clock.advanceAsync(0);
}

const state = (pod = 'pod-1') => deliverer.stateOf('s', pod);

describe('a Session that is handed over', () => {
  it('is known to have begun, and its loop is woken', async () => {
    await deliver();
    expect(state()).toEqual({ sent: true, startedAt: EPOCH + 5_400 });
    expect(woken).toEqual(['s']);
  });

  it('is told to its pod by one signed request, which says how much time is left', async () => {
    clock.advance(20_000);
    await deliver();
    expect(calls).toMatchObject([{ method: 'PUT', host: '10.0.0.7' }]);
    const [{ token: shown, body } = {}] = said;
    expect(shown).toBe('token');
    expect(bindRequest.parse(JSON.parse(body ?? ''))).toEqual({
      uid: 's',
      sessionId: 'id',
      headers: HEADERS,
      maxSessionSeconds: 600,
      body: Buffer.from('{"hello":1}').toString('base64'),
      startTimeoutSeconds: 100,
    });
    expect(signed).toEqual([[{ podUid: 'pod-1', sessionUid: 's', operation: 'bind', body }, ['c1']]]);
  });

  it('is told once, however often the loop asks for it', async () => {
    answers = [silence];
    await deliver();
    await deliver();
    await deliver(order('pod-1', { startBy: EPOCH + 60_000 }));
    expect(calls).toHaveLength(1);
    expect(underWay).toBe(1);
  });

  it('is not told again after it has begun', async () => {
    await deliver();
    await deliver();
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(1);
  });

  it('is asked about again while the agent is not ready', async () => {
    answers = [WAITING, WAITING, STARTED];
    await deliver();
    await clock.advanceAsync(16_200);
    expect(calls).toHaveLength(3);
    expect(state()).toEqual({ sent: true, startedAt: EPOCH + 5_400 });
    expect(woken).toEqual(['s']);
  });

  it('is not asked about without a pause where the answer comes at once', async () => {
    answers = [atOnce(WAITING)];
    await deliver();
    await clock.advanceAsync(999);
    expect(calls).toHaveLength(10);
  });

  it('is free of the problems from before as soon as there is an answer', async () => {
    answers = [UNREACHABLE, UNANSWERED, STARTED];
    await deliver();
    await clock.advanceAsync(1000);
    expect(state()).toEqual({ sent: true, startedAt: EPOCH + 5_400 });
    answers = [UNREACHABLE, atOnce(WAITING)];
    await deliver({ ...order('pod-2'), sessionUid: 't' });
    expect(deliverer.stateOf('t', 'pod-2')).toMatchObject({ unreachableForMs: 0 });
    await clock.advanceAsync(50);
    expect(deliverer.stateOf('t', 'pod-2')).toEqual({ sent: true });
  });

  it('says when it ended before it began: nothing more is asked, and the pod tells the rest', async () => {
    answers = [OVER];
    await deliver();
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(1);
    expect(state()).toEqual({ sent: true });
    expect(woken).toEqual(['s']);
  });
});

describe('a supervisor that cannot be reached', () => {
  it('is asked again, ever less often, and nothing counts as sent', async () => {
    answers = [UNREACHABLE];
    await deliver();
    await clock.advanceAsync(1000);
    const early = calls.length;
    expect(early).toBeGreaterThan(5);
    await clock.advanceAsync(10_000);
    expect(calls.length - early).toBeLessThanOrEqual(20);
    expect(state()).toMatchObject({ sent: false, unreachableForMs: 11_000 });
    expect(state()?.problem).toContain('10.0.0.7: connect ECONNREFUSED');
  });

  it('is told as soon as it can be', async () => {
    answers = [UNREACHABLE, UNREACHABLE, STARTED];
    await deliver();
    await clock.advanceAsync(1000);
    expect(state()).toMatchObject({ sent: true, startedAt: EPOCH + 5_400 });
  });

  it('wakes the loop when it may be given up, not before', async () => {
    answers = [UNREACHABLE];
    await deliver();
    await clock.advanceAsync(UNREACHABLE_MS - 1);
    expect(woken).toEqual([]);
    await clock.advanceAsync(600);
    expect(woken).not.toEqual([]);
  });

  it('has been reached in between: the time without a connection begins anew', async () => {
    const refused: SupervisorAnswer = { kind: 'refused', status: 503, message: 'not yet' };
    answers = [UNREACHABLE, refused, UNREACHABLE];
    await deliver();
    await clock.advanceAsync(1000);
    expect(state()?.unreachableForMs).toBeLessThan(1000);
    expect(state()?.sent).toBe(true);
  });

  it('is not asked after the time is over', async () => {
    answers = [UNREACHABLE];
    await deliver(order('pod-1', { startBy: EPOCH + 3000 }));
    await clock.advanceAsync(10_000);
    const asked = calls.length;
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(asked);
    expect(clock.pendingTimers).toBe(0);
  });

  it('has had its time then, and the loop is woken to know it', async () => {
    await deliver(order('pod-1', { startBy: EPOCH + 3000, message: () => Promise.reject(new Error('503')) }));
    await clock.advanceAsync(2999);
    expect(state()?.expired).toBeUndefined();
    expect(woken).toEqual([]);
    await clock.advanceAsync(501);
    expect(state()).toMatchObject({ sent: false, expired: true });
    expect(state()?.problem).toContain('the body cannot be read: 503');
    expect(woken).toEqual(['s']);
  });

  it('is not asked at all when the time is over already', async () => {
    await deliver(order('pod-1', { startBy: EPOCH }));
    expect(calls).toEqual([]);
    expect(state()).toEqual({ sent: false, expired: true });
    expect(woken).toEqual(['s']);
  });
});

describe('what has been sent', () => {
  it('stays sent, whatever happens afterwards', async () => {
    answers = [UNANSWERED, UNREACHABLE];
    await deliver();
    await clock.advanceAsync(30_000);
    expect(state()).toMatchObject({ sent: true });
  });

  it('is asked about again: the supervisor knows whether it has it', async () => {
    answers = [UNANSWERED, STARTED];
    await deliver();
    await clock.advanceAsync(1000);
    expect(state()).toMatchObject({ sent: true, startedAt: EPOCH + 5_400 });
    expect(said[1]?.body).toContain('"uid":"s"');
  });

  it.each([401, 409])('is nothing when a supervisor refuses it that has looked whom it is for (%i)', async (status) => {
    answers = [{ kind: 'refused', status, message: 'no valid token for this pod' }];
    await deliver();
    expect(state()).toMatchObject({ sent: false });
    expect(state()?.problem).toContain('no valid token');
    await clock.advanceAsync(10_000);
    expect(state()).toMatchObject({ sent: false });
    expect(state()?.unreachableForMs).toBeUndefined();
  });

  it('stays sent when it is refused for another reason, or an earlier request may have been carried out', async () => {
    answers = [{ kind: 'refused', status: 413, message: 'more than 2 bytes' }];
    await deliver();
    expect(state()).toMatchObject({ sent: true });
    answers = [UNANSWERED, { kind: 'refused', status: 401, message: 'no valid token for this pod' }];
    await deliver({ ...order('pod-2'), sessionUid: 't' });
    await clock.advanceAsync(10_000);
    expect(deliverer.stateOf('t', 'pod-2')).toMatchObject({ sent: true });
  });

  it('is sent while a request is under way, and pods are not given up then', async () => {
    const { promise, resolve } = Promise.withResolvers<SupervisorAnswer>();
    answers = [
      () => {
        calls.at(-1)?.onSend();
        return promise;
      },
    ];
    await deliver();
    expect([state()?.sent, deliverer.giveUp('s', 'pod-1')]).toEqual([true, false]);
    resolve({ kind: 'refused', status: 401, message: 'no valid token for this pod' });
    await clock.advanceAsync(0);
    expect([state()?.sent, deliverer.giveUp('s', 'pod-1')]).toEqual([false, true]);
  });

  it('may have been sent by another process to a pod that this one has not bound', async () => {
    answers = [UNREACHABLE];
    deliverer.deliver(order());
    await clock.advanceAsync(0);
    expect(state()).toMatchObject({ sent: true });
  });

  it('may have been sent by another process to a pod of which this one has bound only a sister', async () => {
    answers = [UNREACHABLE];
    deliverer.bound('s', 'pod-0');
    deliverer.deliver(order('pod-1'));
    await clock.advanceAsync(0);
    expect(state()).toMatchObject({ sent: true });
  });

  it('may not have been sent by another process once this one is known to have bound the pod', async () => {
    answers = [UNREACHABLE];
    deliverer.deliver(order());
    await clock.advanceAsync(0);
    expect(state()).toMatchObject({ sent: true });
    deliverer.bound('s', 'pod-1');
    expect(state()).toMatchObject({ sent: false });
  });

  it('is nothing between the binding of a pod by this process and its being told', async () => {
    deliverer.bound('s', 'pod-1');
    expect(state()).toEqual({ sent: false });
    await deliver();
    deliverer.bound('s', 'pod-2');
    expect(state('pod-2')).toEqual({ sent: false });
  });

  it('is not known of a pod that another process has bound and this one has not spoken to', async () => {
    expect(state()).toBeUndefined();
    await deliver();
    expect(state('pod-2')).toBeUndefined();
    expect(deliverer.stateOf('other', 'pod-1')).toBeUndefined();
  });
});

describe('what is to be told', () => {
  let reads: number;
  const counting = (): Order => {
    reads = 0;
    const message = () => {
      reads += 1;
      return Promise.resolve({ headers: HEADERS, bytes: Buffer.from('{"hello":1}') });
    };
    return order('pod-1', { message });
  };

  it('is neither read nor signed while there is nobody to tell', async () => {
    answers = [UNREACHABLE];
    await deliver(counting());
    await clock.advanceAsync(10_000);
    expect(calls.length).toBeGreaterThan(20);
    expect([reads, signed.length]).toEqual([0, 0]);
  });

  it('is read once, however often it is told, and says each time how much time is left', async () => {
    answers = [UNANSWERED, WAITING, STARTED];
    await deliver(counting());
    await clock.advanceAsync(10_000);
    expect(said.map(({ body = '' }) => bindRequest.parse(JSON.parse(body)).startTimeoutSeconds)).toEqual([
      120, 119.98, 111.88,
    ]);
    expect([reads, signed.length]).toEqual([1, 3]);
  });
});

describe('nothing is sent', () => {
  it('while the body cannot be read, and that is said', async () => {
    let tries = 0;
    const message = () =>
      (tries += 1) < 3 ? Promise.reject(new Error('503')) : Promise.resolve({ headers: {}, bytes: Buffer.from('{}') });
    await deliver(order('pod-1', { message }));
    expect(said).toEqual([]);
    expect(state()).toMatchObject({ sent: false });
    expect(state()?.problem).toContain('the body cannot be read: 503');
    await clock.advanceAsync(1000);
    expect(state()).toMatchObject({ sent: true, startedAt: EPOCH + 5_400 });
  });

  it.for([undefined, new Error('no such algorithm')])('without a token, and that is said (%s)', async (missing) => {
    token = missing;
    await deliver();
    expect(said).toEqual([]);
    expect(state()).toMatchObject({ sent: false });
    expect(state()?.problem).toContain('trusts none of our keys');
    token = 'new';
    await clock.advanceAsync(1000);
    expect(state()).toMatchObject({ sent: true, startedAt: EPOCH + 5_400 });
  });
});

describe('a pod that is given up', () => {
  it('is told nothing any more, from this very moment', async () => {
    answers = [UNREACHABLE];
    await deliver();
    await clock.advanceAsync(5000);
    const asked = calls.length;
    expect(deliverer.giveUp('s', 'pod-1')).toBe(true);
    expect(calls.at(-1)?.signal.aborted).toBe(true);
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(asked);
    expect(clock.pendingTimers).toBe(0);
    expect(logged).toEqual([]);
  });

  it('stays given up when the loop asks again, and nothing counts as sent to it', async () => {
    answers = [UNREACHABLE];
    await deliver();
    const asked = calls.length;
    deliverer.giveUp('s', 'pod-1');
    await deliver();
    await clock.advanceAsync(1000);
    expect(calls).toHaveLength(asked);
    expect(state()).toMatchObject({ sent: false });
    expect(deliverer.giveUp('s', 'pod-1')).toBe(true);
  });

  it('ends a request whose connection does not stand yet', async () => {
    answers = [silence];
    await deliver();
    expect(underWay).toBe(1);
    expect(deliverer.giveUp('s', 'pod-1')).toBe(true);
    await clock.advanceAsync(0);
    expect(underWay).toBe(0);
    expect(state()).toMatchObject({ sent: false });
  });

  it('is not given up once something was sent, and goes on being asked', async () => {
    answers = [UNANSWERED, STARTED];
    await deliver();
    expect(deliverer.giveUp('s', 'pod-1')).toBe(false);
    await clock.advanceAsync(1000);
    expect(state()).toMatchObject({ startedAt: EPOCH + 5_400 });
  });

  it('may be given up where nothing was begun', async () => {
    expect(deliverer.giveUp('s', 'pod-1')).toBe(true);
    await deliver();
    expect(deliverer.giveUp('s', 'pod-2')).toBe(true);
    expect(calls[0]?.signal.aborted).toBe(false);
  });
});

describe('another pod for the Session', () => {
  it('ends what was under way to the one before', async () => {
    answers = [silence, STARTED];
    await deliver();
    await deliver(order('pod-2'));
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(underWay).toBe(0);
    expect(state('pod-1')).toBeUndefined();
    expect(state('pod-2')).toEqual({ sent: true, startedAt: EPOCH + 5_400 });
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(2);
    expect(logged).toEqual([]);
  });

  it('does not inherit what was sent to the one before', async () => {
    answers = [UNANSWERED, UNREACHABLE];
    await deliver();
    await deliver(order('pod-2'));
    expect(state('pod-2')).toMatchObject({ sent: false });
  });
});

describe('a Session that is stopped', () => {
  it('is asked to end, by a token for that alone', async () => {
    await deliver();
    await deliverer.stop('s', order().to);
    expect(calls.at(-1)).toMatchObject({ method: 'DELETE', host: '10.0.0.7' });
    expect(said.at(-1)).toEqual({ token: 'token' });
    expect(signed.at(-1)).toEqual([{ podUid: 'pod-1', sessionUid: 's', operation: 'stop' }, ['c1']]);
  });

  it('is asked once, and it is known for how long ago', async () => {
    await deliver();
    await deliverer.stop('s', order().to);
    await deliverer.stop('s', order().to);
    clock.advance(700);
    expect(calls.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
    expect(state()).toMatchObject({ stopAskedMsAgo: 700 });
  });

  it('is asked by a process that has not handed it over, which cannot know that nothing was sent', async () => {
    await deliverer.stop('s', order().to);
    expect(state()).toEqual({ sent: true, stopAskedMsAgo: 0 });
  });

  it('is not handed over any more', async () => {
    answers = [UNREACHABLE];
    await deliver();
    await deliverer.stop('s', order().to);
    const asked = calls.length;
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(asked);
    expect(logged).toEqual(['the supervisor did not take the stop']);
  });

  it.for([undefined, new Error('no such algorithm')])(
    'is left to the kubelet without a token (%s)',
    async (missing) => {
      token = missing;
      await deliverer.stop('s', order().to);
      expect(said).toEqual([]);
      expect(state()).toMatchObject({ stopAskedMsAgo: 0 });
    },
  );
});

describe('a Session that is over', () => {
  it('is forgotten, and what was under way ends', async () => {
    answers = [silence];
    await deliver();
    deliverer.forget('s');
    await clock.advanceAsync(60_000);
    expect(underWay).toBe(0);
    expect(calls).toHaveLength(1);
    expect(state()).toBeUndefined();
    expect(woken).toEqual([]);
    expect(logged).toEqual([]);
  });

  it('is forgotten also while a body is read or a try is waited for', async () => {
    await deliver(order('pod-1', { message: () => new Promise<never>(() => undefined) }));
    deliverer.forget('s');
    answers = [UNREACHABLE];
    await deliver(order('pod-2'));
    deliverer.forget('s');
    await clock.advanceAsync(60_000);
    expect([calls.length, said.length, underWay]).toEqual([2, 0, 0]);
    expect(clock.pendingTimers).toBe(0);
    expect(logged).toEqual([]);
  });

  it('leaves nothing for which a later one would be taken for ours', async () => {
    await deliver();
    await deliverer.stop('s', order().to);
    deliverer.forget('s');
    answers = [UNREACHABLE];
    deliverer.deliver(order());
    await clock.advanceAsync(0);
    expect(state()).toMatchObject({ sent: true });
    expect(state()?.stopAskedMsAgo).toBeUndefined();
  });
});

describe('a process that ends', () => {
  it('ends all that is under way', async () => {
    answers = [silence];
    await deliver();
    await deliver({ ...order('pod-2'), sessionUid: 't' });
    expect(underWay).toBe(2);
    deliverer.close();
    await clock.advanceAsync(60_000);
    expect(underWay).toBe(0);
    expect(calls).toHaveLength(2);
    expect(logged).toEqual([]);
  });
});
