import { describe, expect, it } from 'vitest';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import type { BotResult, Readiness } from './agent-client.ts';
import { BoundSession } from './session.ts';
import type { BindRequest, TerminationMessage } from './wire.ts';

const request: BindRequest = {
  uid: 'session-uid',
  sessionId: 'id',
  body: Buffer.from('{"grüße":"世界"}').toString('base64'),
  headers: { 'x-daily-room-url': 'https://room', 'x-daily-room-token': 'token' },
  maxSessionSeconds: 60,
  startTimeoutSeconds: 10,
};

/** A session, an agent that does as it is told, and the record that the session leaves. */
function setUp({ readiness = 'ready' }: { readiness?: Readiness } = {}) {
  const clock = new FakeClock(1_000_000);
  const agent = {
    readiness,
    calls: [] as { headers: Record<string, string>; body: Buffer; finish: (result: BotResult) => void }[],
    connects: true,
    ready: () => Promise.resolve(agent.readiness),
    bot: (headers: Record<string, string>, body: Buffer, mayGo: () => boolean) => {
      if (!agent.connects || !mayGo()) return Promise.resolve<BotResult>({ kind: 'notSent' });
      return new Promise<BotResult>((finish) => agent.calls.push({ headers, body, finish }));
    },
    webSocket: () => Promise.reject(new Error('no test asks for one')),
  };
  const records: TerminationMessage[] = [];
  const session = new BoundSession({
    request,
    agent,
    clock,
    onOver: (record) => records.push(record),
  });
  void session.run();
  return { clock, agent, session, records, settle: () => clock.advanceAsync(0) };
}

describe('a bound session', () => {
  it('calls the agent once, with the contract’s headers and the body byte for byte', async () => {
    const { agent, session, settle } = setUp();
    await settle();
    expect(agent.calls).toMatchObject([
      {
        body: Buffer.from('{"grüße":"世界"}'),
        headers: {
          'x-daily-session-id': 'id',
          'x-daily-room-url': 'https://room',
          'x-daily-room-token': 'token',
          'x-pcc-max-session-seconds': '60',
        },
      },
    ]);
    expect(session.reply).toEqual({ state: 'started', startedAt: 1_000_000 });
  });

  it('is completed when the agent answers', async () => {
    const { clock, agent, records, settle } = setUp();
    await settle();
    await clock.advanceAsync(5_000);
    agent.calls[0]?.finish({ kind: 'answered', status: 200 });
    await settle();
    expect(records).toEqual([
      {
        bullpen: 1,
        session: 'session-uid',
        delivered: true,
        outcome: 'Completed',
        startedAt: 1_000_000,
        endedAt: 1_005_000,
        ranMs: 5_000,
        httpStatus: 200,
      },
    ]);
  });

  it.each([
    ['an error status', { kind: 'answered', status: 500 }, { outcome: 'AgentError', httpStatus: 500 }],
    ['a broken connection', { kind: 'broken', message: 'reset' }, { outcome: 'ConnectionBroken', message: 'reset' }],
  ] as const)('ends with %s, and the agent is not called again', async (_name, result, expected) => {
    const { clock, agent, records, settle } = setUp();
    await settle();
    agent.calls[0]?.finish(result);
    await settle();
    expect(records).toMatchObject([{ delivered: true, ...expected }]);
    await clock.advanceAsync(120_000);
    expect([agent.calls.length, records.length]).toEqual([1, 1]);
  });

  it('is cut at its limit, whatever the agent does', async () => {
    const { clock, records, settle } = setUp();
    await settle();
    await clock.advanceAsync(59_999);
    expect(records).toEqual([]);
    await clock.advanceAsync(1);
    expect(records).toMatchObject([{ outcome: 'DeadlineExceeded', ranMs: 60_000 }]);
  });

  it.each([
    [58_999, 'Completed'],
    [59_000, 'DeadlineExceeded'],
  ])('that the agent ends after %i of 60000 ms is %s', async (ms, outcome) => {
    const { clock, agent, records, settle } = setUp();
    await settle();
    await clock.advanceAsync(ms);
    agent.calls[0]?.finish({ kind: 'answered', status: 200 });
    await settle();
    expect(records).toMatchObject([{ outcome }]);
  });

  it('waits for the agent, and counts its time from the call', async () => {
    const { clock, agent, session, records, settle } = setUp({ readiness: 'unreachable' });
    await settle();
    await clock.advanceAsync(3_000);
    expect(session.reply).toEqual({ state: 'waiting' });
    agent.readiness = 'ready';
    await clock.advanceAsync(250);
    expect(session.reply.state).toBe('started');
    await clock.advanceAsync(60_000);
    expect(records).toMatchObject([{ outcome: 'DeadlineExceeded', ranMs: 60_000 }]);
  });

  it('is not delivered when the agent is not ready in time', async () => {
    const { clock, agent, records, settle } = setUp({ readiness: 'notReady' });
    await settle();
    await clock.advanceAsync(10_250);
    expect(records).toMatchObject([{ outcome: 'NeverReady', delivered: false }]);
    expect(agent.calls).toEqual([]);
  });

  it('waits again for an agent that goes away between its readiness and the call', async () => {
    const { clock, agent, session, settle } = setUp();
    agent.connects = false;
    await settle();
    expect(session.reply.state).toBe('waiting');
    agent.connects = true;
    await clock.advanceAsync(1_000);
    expect([session.reply.state, agent.calls.length]).toEqual(['started', 1]);
  });

  it('that is told to stop ends at once, and never calls the agent afterwards', async () => {
    const { clock, agent, session, records, settle } = setUp({ readiness: 'notReady' });
    await settle();
    session.end('Stopped');
    agent.readiness = 'ready';
    await clock.advanceAsync(120_000);
    expect(records).toMatchObject([{ outcome: 'Stopped', delivered: false }]);
    expect([agent.calls.length, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('that is told to stop while the connection to the agent is made sends nothing', async () => {
    const { agent, session, records, settle } = setUp();
    const connecting = Promise.withResolvers<undefined>();
    const { bot } = agent;
    agent.bot = async (headers, body, mayGo) => {
      await connecting.promise;
      return await bot(headers, body, mayGo);
    };
    await settle();
    session.end('Stopped');
    connecting.resolve(undefined);
    await settle();
    expect(records).toMatchObject([{ outcome: 'Stopped', delivered: false }]);
    expect(agent.calls).toEqual([]);
  });

  it.each(['ready', 'bot'] as const)('ends at its start timeout also while a connection hangs (%s)', async (what) => {
    const { clock, agent, session, records, settle } = setUp({ readiness: 'notReady' });
    await settle();
    const connecting = Promise.withResolvers<undefined>();
    const { bot } = agent;
    if (what === 'ready') agent.ready = () => connecting.promise.then(() => 'ready');
    else
      agent.bot = async (...args) => {
        await connecting.promise;
        return await bot(...args);
      };
    agent.readiness = 'ready';
    await clock.advanceAsync(9_999);
    expect(session.reply).toEqual({ state: 'waiting' });
    await clock.advanceAsync(1);
    expect(session.reply).toEqual({ state: 'over' });
    connecting.resolve(undefined);
    await settle();
    expect(records).toMatchObject([{ outcome: 'NeverReady', delivered: false, endedAt: 1_010_000 }]);
    expect([agent.calls.length, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('tells who waits for it when it starts, and after a while that it still waits', async () => {
    const { clock, agent, session, settle } = setUp({ readiness: 'notReady' });
    await settle();
    let told = 0;
    void session.settled(8_000).then(() => told++);
    await clock.advanceAsync(7_999);
    expect(told).toBe(0);
    await clock.advanceAsync(1);
    expect(told).toBe(1);
    void session.settled(8_000).then(() => told++);
    agent.readiness = 'ready';
    await clock.advanceAsync(300);
    expect(told).toBe(2);
  });
});
