import fc from 'fast-check';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from './clock.ts';
import { LeaderElector, LeadershipLostError, type LeaderElectorOptions } from './leader-election.ts';
import { KubeMetrics } from './metrics.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { LeaseServer, type LeaseFault } from './testing/lease-server.ts';

let server: LeaseServer;
let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
  server = new LeaseServer(clock);
});

/** One process that wants to lead. */
class Candidate {
  readonly faults: { now: LeaseFault } = { now: 'none' };
  readonly elector: LeaderElector;
  readonly stop = new AbortController();
  /** How `run` ended. */
  ended: unknown;
  handovers: boolean[] = [];
  leading: AbortSignal | undefined;
  working = false;
  /** Ends what it does as the leader. */
  finish = Promise.withResolvers<undefined>();

  constructor(identity: string, options: Partial<LeaderElectorOptions> = {}, fault: LeaseFault = 'none') {
    this.faults.now = fault;
    this.elector = new LeaderElector({
      api: server.client(this.faults),
      lease: { namespace: 'ns', name: 'lease' },
      identity,
      clock,
      random: () => 0,
      ...options,
    });
    this.elector
      .run({
        signal: this.stop.signal,
        onLeading: async (signal, { cleanHandover }) => {
          this.leading = signal;
          this.handovers.push(cleanHandover);
          this.working = true;
          await this.finish.promise;
          this.working = false;
        },
      })
      .then(
        () => (this.ended = 'resolved'),
        (error: unknown) => (this.ended = error),
      );
  }

  get leads(): boolean {
    return this.elector.holdsLease();
  }
}

describe('taking the lease', () => {
  it('that does not exist is a clean handover', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    expect([a.leads, a.handovers]).toEqual([true, [true]]);
    expect(server.lease?.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
  });

  it('from a leader that died waits for its duration, and is no clean handover', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    a.faults.now = 'hang';
    const b = new Candidate('b');
    await clock.advanceAsync(14_000);
    expect(b.leads).toBe(false);
    await clock.advanceAsync(2000);
    expect([b.leads, b.handovers]).toEqual([true, [false]]);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  });

  it('goes by when the record was seen to change, however wrong the clocks are', async () => {
    const a = new Candidate('a');
    const hoursAhead: Clock = {
      now: () => clock.now() + 10_000_000,
      monotonic: () => clock.monotonic(),
      setTimeout: (fn, ms) => clock.setTimeout(fn, ms),
    };
    await clock.advanceAsync(0);
    const b = new Candidate('b', { clock: hoursAhead });
    await clock.advanceAsync(60_000);
    expect([a.leads, b.leads]).toEqual([true, false]);
  });

  it('after a takeover whose reply was lost still knows that it was not clean', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    a.faults.now = 'hang';
    const b = new Candidate('b');
    await clock.advanceAsync(14_000);
    b.faults.now = 'lostReply';
    await clock.advanceAsync(3000);
    expect(server.lease?.spec?.holderIdentity).toBe('a');
    b.faults.now = 'none';
    await clock.advanceAsync(2000);
    expect([b.leads, b.handovers]).toEqual([true, [false]]);
  });

  it('that did not exist is clean, too, when the reply to its creation was lost', async () => {
    const a = new Candidate('a', {}, 'lostReply');
    await clock.advanceAsync(1000);
    a.faults.now = 'none';
    await clock.advanceAsync(1000);
    expect([a.leads, a.handovers]).toEqual([true, [true]]);
  });

  it('that somebody deleted waits for the time of whoever held it', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    const b = new Candidate('b');
    await clock.advanceAsync(0);
    a.faults.now = 'hang';
    server.lease = undefined;
    await clock.advanceAsync(10_000);
    expect(b.leads).toBe(false);
    await clock.advanceAsync(6000);
    expect([b.leads, b.handovers]).toEqual([true, [false]]);
  });

  it('ends when told to stop before', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    const b = new Candidate('b');
    await clock.advanceAsync(0);
    b.stop.abort();
    await clock.advanceAsync(0);
    expect([b.ended, b.handovers, a.leads]).toEqual(['resolved', [], true]);
  });

  it('that comes when it is no longer wanted is released at once', async () => {
    const a = new Candidate('a', {}, 'slow');
    await clock.advanceAsync(1000);
    a.stop.abort();
    await clock.advanceAsync(10_000);
    expect([a.ended, a.handovers]).toEqual(['resolved', []]);
    expect(server.lease?.spec?.holderIdentity).toBe('');
  });
});

describe('keeping the lease', () => {
  it('renews it every two seconds, and idles otherwise', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    server.writes = 0;
    await clock.advanceAsync(60_000);
    expect([a.leads, server.writes]).toEqual([true, 30]);
    expect(server.lease?.spec).toMatchObject({ acquireTime: '2026-01-01T00:00:00.000000Z', leaseTransitions: 0 });
  });

  it('survives failures that are shorter than the renew deadline', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    for (const fault of ['error', 'lostReply', 'error'] as const) {
      a.faults.now = fault;
      await clock.advanceAsync(6000);
      a.faults.now = 'none';
      await clock.advanceAsync(3000);
      expect(a.leads).toBe(true);
    }
  });

  it.each(['error', 'lostReply', 'hang'] as const)('is lost at the renew deadline when requests %s', async (fault) => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    a.faults.now = fault;
    await clock.advanceAsync(9999);
    expect([a.leads, a.ended]).toEqual([true, undefined]);
    await clock.advanceAsync(1);
    expect(a.leads).toBe(false);
    expect(a.ended).toBeInstanceOf(LeadershipLostError);
    expect(a.leading?.aborted).toBe(true);
  });

  it('counts from when a renewal was sent, not from when its reply came', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    a.faults.now = 'slow';
    await clock.advanceAsync(4999);
    a.faults.now = 'hang';
    await clock.advanceAsync(7000);
    expect(a.leads).toBe(true);
    await clock.advanceAsync(1);
    expect(a.leads).toBe(false);
    expect(a.ended).toBeInstanceOf(LeadershipLostError);
  });

  it('is lost on time, also when the renew deadline is no multiple of the retry period', async () => {
    const a = new Candidate('a', { timings: { retryPeriodMs: 3000 } });
    await clock.advanceAsync(0);
    a.faults.now = 'error';
    await clock.advanceAsync(10_000);
    expect(a.ended).toBeInstanceOf(LeadershipLostError);
  });

  it('is lost by the clock alone while the event loop is blocked, and for good', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    clock.freeze(9999);
    expect(a.leads).toBe(true);
    clock.freeze(1);
    expect(a.leads).toBe(false);
    await clock.advanceAsync(2000);
    expect(a.ended).toBeInstanceOf(LeadershipLostError);
    expect(a.leads).toBe(false);
  });

  it('is lost as soon as another is seen to hold it', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    const [lease] = [server.lease];
    if (lease === undefined) throw new Error('no lease');
    server.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: 'x' }, spec: { holderIdentity: 'b' } };
    await clock.advanceAsync(2000);
    expect(a.ended).toBeInstanceOf(LeadershipLostError);
  });
});

describe('giving the lease up', () => {
  it('keeps renewing until the work has ended, then releases: the next one takes it at once, cleanly', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    const b = new Candidate('b');
    await clock.advanceAsync(0);
    a.stop.abort();
    expect(a.leading?.aborted).toBe(true);
    await clock.advanceAsync(30_000);
    expect([a.leads, b.leads]).toEqual([true, false]);
    a.finish.resolve(undefined);
    await clock.advanceAsync(0);
    expect([a.ended, a.leads]).toEqual(['resolved', false]);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    await clock.advanceAsync(2000);
    expect([b.leads, b.handovers]).toEqual([true, [true]]);
    expect(server.lease?.spec?.leaseTransitions).toBe(1);
  });

  it('soon after an unclean handover lets the next one come quickly, but not as if all were clean', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    a.faults.now = 'hang';
    const b = new Candidate('b');
    const c = new Candidate('c');
    await clock.advanceAsync(16_000);
    const [second, third] = b.leads ? [b, c] : [c, b];
    expect(second.handovers).toEqual([false]);
    second.finish.resolve(undefined);
    await clock.advanceAsync(4000);
    expect([third.leads, third.handovers]).toEqual([true, [false]]);
    await clock.advanceAsync(15_000);
    third.finish.resolve(undefined);
    const d = new Candidate('d');
    await clock.advanceAsync(3000);
    expect([d.leads, d.handovers]).toEqual([true, [true]]);
  });

  it('does not release when the work failed: something of it may still run', async () => {
    const a = new Candidate('a');
    await clock.advanceAsync(0);
    const failed = new Error('failed');
    a.finish.reject(failed);
    await clock.advanceAsync(0);
    expect([a.ended, a.leads]).toEqual([failed, false]);
    expect(server.lease?.spec?.holderIdentity).toBe('a');
  });
});

it('never has two leaders, and calls no handover clean that was not, whatever fails', async () => {
  const who = fc.nat(2);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 16 }) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        who,
        fault: fc.constantFrom<LeaseFault>('none', 'none', 'error', 'lostReply', 'slow', 'hang'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ who, stop: fc.boolean() }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      clock = new FakeClock();
      server = new LeaseServer(clock);
      let made = 0;
      const make = (): Candidate => new Candidate(`candidate-${made++}`);
      const candidates = [make(), make(), make()];
      let leader: Candidate | undefined;
      for (const step of steps) {
        if ('who' in step) {
          const candidate = candidates[step.who];
          if (candidate === undefined) continue;
          if ('fault' in step) candidate.faults.now = step.fault;
          else {
            // It ends in good order, or falls silent in the middle of its work, and another one comes.
            if (step.stop) candidate.finish.resolve(undefined);
            else candidate.faults.now = 'hang';
            candidate.stop.abort();
            candidates[step.who] = make();
          }
        }
        for (let tick = 0; tick < ('wait' in step ? step.wait : 1); tick++) {
          await clock.advanceAsync(500);
          const leaders = candidates.filter(({ leads }) => leads);
          expect(leaders.length).toBeLessThanOrEqual(1);
          const [next] = leaders;
          if (next === undefined || next === leader) continue;
          if (next.handovers[0] === true) expect(leader?.working ?? false).toBe(false);
          leader = next;
        }
      }
      for (const candidate of candidates) candidate.faults.now = 'none';
      await clock.advanceAsync(40_000);
      const alive = candidates.filter(({ ended }) => ended === undefined);
      expect(alive.filter(({ leads }) => leads)).toHaveLength(Math.min(alive.length, 1));
    }),
    { numRuns: 100 },
  );
});

it('refuses timings that could not work', () => {
  const api = server.client({ now: 'none' });
  const make = (timings: object): LeaderElector =>
    new LeaderElector({ api, lease: { name: 'l' }, identity: 'a', clock, random: () => 0, timings });
  expect(() => make({ leaseDurationMs: 10_000 })).toThrow(RangeError);
  expect(() => make({ retryPeriodMs: 5000 })).toThrow(RangeError);
});

it('is measured as client-go does', async () => {
  const registry = new Registry();
  const a = new Candidate('a', { metrics: new KubeMetrics(registry) });
  expect(await registry.metrics()).toContain('leader_election_master_status{name="lease"} 0');
  await clock.advanceAsync(0);
  expect(await registry.metrics()).toContain('leader_election_master_status{name="lease"} 1');
  a.faults.now = 'error';
  await clock.advanceAsync(10_000);
  expect(await registry.metrics()).toContain('leader_election_master_status{name="lease"} 0');
});
