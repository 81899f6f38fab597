import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { SessionStatus } from '../../api/session.ts';
import { EPOCH } from '../../api/testing/objects.ts';
import { sleep } from '../../kube/clock.ts';
import { clientError } from '../../kube/errors.ts';
import type { ObjectMeta } from '../../kube/objects.ts';
import { Problem } from '../problems.ts';
import type { Told } from './body-carrier.ts';
import { PATIENCE_MS, refusal, StartBed, WITH_POD, type Replica } from './testing/start-bed.ts';

let bed: StartBed;
let gateway: Replica;

beforeEach(() => {
  bed = new StartBed();
  gateway = bed.replica();
});

/** Lets everything run that does not wait for time to pass. */
const settle = (): Promise<void> => bed.clock.advanceAsync(0);

/** A session that was started with this key. */
async function startedWith(key: string, at: Replica = gateway): Promise<string> {
  const asked = at.ask({ key });
  await settle();
  const waiting = bed.sessions.filter(({ status }) => status === undefined);
  for (const session of waiting) bed.decide(session, WITH_POD);
  return (await asked).sessionId ?? '';
}

describe('a key that is used again after its window', () => {
  beforeEach(async () => {
    await startedWith('k');
    await bed.clock.advanceAsync(630_000);
  });

  it('stands for its new session also when the old one has gone', async () => {
    const [old] = bed.sessions;
    const second = await startedWith('k');
    expect(second).not.toBe(old?.metadata.name);
    if (old !== undefined) bed.remove(old);
    await bed.clock.advanceAsync(60_000);
    expect(await gateway.ask({ key: 'k' })).toMatchObject({ sessionId: second });
    expect(bed.sessions).toHaveLength(1);
  });

  it('makes one session at two replicas of which one has not seen that the old one has gone', async () => {
    const other = bed.replica();
    gateway.fallBehind();
    bed.remove(bed.session);
    const both = [gateway.ask({ key: 'k' })];
    await bed.clock.advanceAsync(1_000);
    both.push(other.ask({ key: 'k' }));
    await settle();
    bed.decide(bed.session, WITH_POD);
    gateway.catchUp();
    const [first, second] = await Promise.all(both);
    expect(first).toMatchObject({ start: 'warm' });
    expect(second).toEqual(first);
  });

  it('makes one session at two replicas of which one has not seen the new one', async () => {
    const other = bed.replica();
    const [old] = bed.sessions;
    if (old !== undefined) other.hear('MODIFIED', old);
    other.fallBehind();
    const second = await startedWith('k');
    if (old !== undefined) bed.remove(old);
    const asked = other.ask({ key: 'k' });
    await bed.clock.advanceAsync(1_000);
    expect(await asked).toMatchObject({ sessionId: second });
    expect(bed.sessions).toHaveLength(1);
  });
});

describe('an Agent that is full', () => {
  const full = { kind: 'AtCapacity', retryAfterSeconds: 5 };

  it('is said to be with its numbers, when the cache shows it', async () => {
    bed.agent.spec.scaling = { minAgents: 0, maxAgents: 1 };
    await startedWith('k');
    expect(await gateway.ask()).toMatchObject({ ...full, more: { activeSessions: 1, maxAgents: 1 } });
  });

  it.each(['AtCapacity', 'QueueTimeout'] as const)(
    'is with its numbers, when the controller says %s',
    async (reason) => {
      bed.agent.spec.whenFull = reason === 'AtCapacity' ? 'Reject' : 'Queue';
      await startedWith('k');
      const asked = gateway.ask();
      await settle();
      const [session] = bed.sessions.filter(({ status }) => status === undefined);
      if (session !== undefined) bed.decide(session, { phase: 'Rejected', reason, message: 'no place' });
      expect(await asked).toMatchObject({
        ...full,
        more: { activeSessions: 1, maxAgents: 10, reason, detail: 'no place' },
      });
    },
  );
});

describe('a start that is late', () => {
  it.each([['k'], [undefined]])('before there is a Session makes none: key %s', async (key) => {
    const undo = vi.fn(() => Promise.resolve());
    const tell = async (): Promise<Told> => {
      await sleep(bed.clock, PATIENCE_MS + 1);
      return { headers: {}, body: Buffer.alloc(0) };
    };
    const asked = gateway.ask({ ...(key !== undefined && { key }), tell, undo });
    await bed.clock.advanceAsync(PATIENCE_MS + 1);
    expect(await asked).toMatchObject({ kind: 'StartTimeout' });
    expect(bed.calls).toEqual([]);
    // With a key, whoever asks again may be using it by now.
    expect(undo).toHaveBeenCalledTimes(key === undefined ? 1 : 0);
  });

  it('because Daily was asked for too long is no fault of Daily', async () => {
    const tell = async (): Promise<Told> => {
      await sleep(bed.clock, PATIENCE_MS);
      throw new Problem('DailyFailed');
    };
    const asked = gateway.ask({ tell });
    await bed.clock.advanceAsync(PATIENCE_MS);
    expect(await asked).toMatchObject({ kind: 'StartTimeout' });
  });

  it('while the API server does not answer a read is told so', async () => {
    bed.before = (call) => (call === 'get sessions' ? sleep(bed.clock, PATIENCE_MS) : undefined);
    const asked = gateway.ask({
      key: 'k',
      checkReady: () => {
        throw new Problem('NotReady');
      },
    });
    await bed.clock.advanceAsync(PATIENCE_MS);
    expect(await asked).toMatchObject({ kind: 'StartTimeout' });
  });
});

describe('a refused Session', () => {
  /** One that was refused, and that its caller has been told of. */
  async function refused(metadata: Partial<ObjectMeta> = {}): Promise<void> {
    const asked = gateway.ask({ key: 'k' });
    await settle();
    bed.annotate(bed.session, metadata);
    bed.decide(bed.session, { phase: 'Rejected', reason: 'AgentPaused' });
    expect(await asked).toMatchObject({ kind: 'NotReady' });
    bed.calls.length = 0;
  }

  it('gives way to a new try', async () => {
    await refused();
    const again = gateway.ask({ key: 'k' });
    await settle();
    bed.decide(bed.session, WITH_POD);
    expect(await again).toMatchObject({ start: 'warm' });
  });

  it.each<[string, { finalizers?: string[] }]>([
    ['which somebody’s finalizer keeps', { finalizers: ['example.com/mine'] }],
    ['which the gateway may not delete', {}],
  ])('%s is looked at now and then until it is too late', async (_why, metadata) => {
    bed.before = (call) => {
      if (call === 'delete sessions' && metadata.finalizers === undefined) throw refusal(403, 'Forbidden');
    };
    await refused(metadata);
    const tell = vi.fn(() => Promise.resolve({ headers: {}, body: Buffer.alloc(0) }));
    const again = gateway.ask({ key: 'k', tell });
    await bed.clock.advanceAsync(PATIENCE_MS);
    expect(await again).toMatchObject({ kind: 'StartTimeout' });
    expect(bed.calls.length).toBeLessThan(40);
    expect(tell).not.toHaveBeenCalled();
  });

  it('that goes at last gives way then', async () => {
    await refused({ finalizers: ['example.com/mine'] });
    const again = gateway.ask({ key: 'k' });
    await bed.clock.advanceAsync(10_000);
    bed.annotate(bed.session, { finalizers: [] });
    bed.remove(bed.session);
    await bed.clock.advanceAsync(10_000);
    bed.decide(bed.session, WITH_POD);
    expect(await again).toMatchObject({ start: 'warm' });
  });
});

describe('a request and its retry ten seconds later', () => {
  const undo = vi.fn(() => Promise.resolve());
  let first: ReturnType<Replica['ask']>;
  let retry: ReturnType<Replica['ask']>;

  beforeEach(() => undo.mockClear());

  /** Both wait for one Session when it is too late for the first. */
  async function untilLate(at: Replica): Promise<void> {
    first = gateway.ask({ key: 'k', undo });
    await bed.clock.advanceAsync(10_000);
    retry = at.ask({ key: 'k' });
    await bed.clock.advanceAsync(PATIENCE_MS - 10_000);
  }

  it('at one replica keep the session when it is too late for the first', async () => {
    await untilLate(gateway);
    expect(await first).toMatchObject({ kind: 'StartTimeout' });
    bed.decide(bed.session, WITH_POD);
    expect(await retry).toMatchObject({ sessionId: bed.session.metadata.name });
    expect(bed.calls).not.toContain('delete sessions');
    expect(undo).not.toHaveBeenCalled();
  });

  it('at one replica leave nothing behind when it is too late for both', async () => {
    await untilLate(gateway);
    await bed.clock.advanceAsync(10_000);
    expect(await Promise.all([first, retry])).toMatchObject([{ kind: 'StartTimeout' }, { kind: 'StartTimeout' }]);
    expect(bed.sessions).toEqual([]);
  });

  it('at two replicas end with a session for the retry, which has its own time', async () => {
    await untilLate(bed.replica());
    expect(await first).toMatchObject({ kind: 'StartTimeout' });
    await bed.clock.advanceAsync(1_000);
    // What the first one did is what the retry uses.
    expect(undo).not.toHaveBeenCalled();
    expect(bed.session.spec.startBefore).toBe(new Date(EPOCH + 10_000 + PATIENCE_MS).toISOString());
    bed.decide(bed.session, WITH_POD);
    expect(await retry).toMatchObject({ sessionId: bed.session.metadata.name });
  });

  it('are both told of a session that the first has not seen to start in time', async () => {
    const other = bed.replica();
    first = gateway.ask({ key: 'k', undo });
    await settle();
    gateway.fallBehind();
    bed.decide(bed.session, WITH_POD);
    const told = await other.ask({ key: 'k' });
    await bed.clock.advanceAsync(PATIENCE_MS);
    expect(await first).toEqual(told);
    expect(bed.session.metadata.name).toBe(told.sessionId);
    expect(undo).not.toHaveBeenCalled();
  });

  it('are both told of a session that gets its pod while the first is about to delete it', async () => {
    bed.before = (call) => {
      if (call !== 'delete sessions') return;
      bed.before = () => undefined;
      bed.decide(bed.session, WITH_POD);
    };
    await untilLate(bed.replica());
    await bed.clock.advanceAsync(1_000);
    expect(await first).toMatchObject({ start: 'warm' });
    expect(await retry).toEqual(await first);
    expect(undo).not.toHaveBeenCalled();
  });

  it.each<SessionStatus>([
    { phase: 'Rejected', reason: 'StartBeforePassed' },
    { phase: 'Ended', reason: 'StartTimeout' },
  ])('end with a session for the retry when the controller ends what had the time of the first: %o', async (status) => {
    await untilLate(gateway);
    bed.decide(bed.session, status);
    await bed.clock.advanceAsync(1_000);
    bed.decide(bed.session, WITH_POD);
    expect(await retry).toMatchObject({ start: 'warm' });
  });
});

describe('a start that is late with its Session', () => {
  const undo = vi.fn(() => Promise.resolve());
  beforeEach(() => undo.mockClear());

  it('takes that back where nobody can come again for it, even when it has its pod at that moment', async () => {
    const asked = gateway.ask({ undo });
    await settle();
    gateway.fallBehind();
    bed.decide(bed.session, WITH_POD);
    await bed.clock.advanceAsync(PATIENCE_MS);
    expect(await asked).toMatchObject({ kind: 'StartTimeout' });
    expect(bed.sessions).toEqual([]);
    expect(undo).toHaveBeenCalledOnce();
  });

  it.each([['k'], [undefined]])(
    'is answered while the API server is away, and taken back after: key %s',
    async (key) => {
      const asked = gateway.ask({ ...(key !== undefined && { key }), undo });
      await settle();
      bed.before = () => {
        throw refusal(503, 'ServiceUnavailable');
      };
      await bed.clock.advanceAsync(PATIENCE_MS + 3_000);
      expect(await asked).toMatchObject({ kind: 'StartTimeout' });
      await bed.clock.advanceAsync(60_000);
      expect(bed.sessions).toHaveLength(1);
      bed.before = () => undefined;
      await bed.clock.advanceAsync(10_000);
      expect(bed.sessions).toEqual([]);
      expect(undo).toHaveBeenCalledTimes(key === undefined ? 1 : 0);
    },
  );
});

describe('a request that is lost', () => {
  it.each([['k'], [undefined]])('leaves nothing of what was done for its Session: key %s', async (key) => {
    const undo = vi.fn(() => Promise.resolve());
    bed.before = (call) => {
      if (call === 'create sessions') throw clientError('create', 'ConnectionLost', 'unknown');
    };
    const asked = gateway.ask({ ...(key !== undefined && { key }), undo });
    await bed.clock.advanceAsync(15_000);
    expect(await asked).toMatchObject({ reason: 'ConnectionLost' });
    expect(undo).toHaveBeenCalledOnce();
  });
});

describe('a body that may not have come', () => {
  it.each([['k'], [undefined]])('leaves neither a Session nor what was done for it: key %s', async (key) => {
    const undo = vi.fn(() => Promise.resolve());
    const tell = (): Promise<Told> => Promise.resolve({ headers: {}, body: Buffer.alloc(10_000) });
    bed.after = (call) => {
      if (call === 'create secrets') throw clientError('create', 'ConnectionLost', 'unknown');
    };
    const asked = gateway.ask({ ...(key !== undefined && { key }), tell, undo });
    await settle();
    expect(await asked).toMatchObject({ reason: 'ConnectionLost' });
    expect(bed.sessions).toEqual([]);
    expect(undo).toHaveBeenCalledOnce();
  });
});
