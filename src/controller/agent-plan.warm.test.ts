import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agentSpec, type AgentSpecInput } from '../api/agent.ts';
import type { Session } from '../api/session.ts';
import { planAgent, type AgentPlan, type AgentView } from './agent-plan.ts';
import type { WarmPod } from './pool/warm-pods.ts';
import { BROKEN_REVISION, makeIdle, waitingNow, REVISION } from './testing/http-objects.ts';
import { at, boundStatus, EPOCH, LIMITS, makeSession } from './testing/objects.ts';

function serving(maxAgents: number, spec: Partial<AgentSpecInput> = {}): AgentView['agent'] {
  return { state: 'serving', spec: agentSpec.parse({ image: 'i', scaling: { maxAgents }, ...spec }) };
}

/** A plan for an Agent that has, beside its `busy` sessions, only these pods. */
function plan(
  maxAgents: number,
  sessions: Session[],
  idle: WarmPod[],
  {
    busy = 0,
    agent = serving(maxAgents),
    seconds = 0,
    ...view
  }: Partial<AgentView> & { busy?: number; seconds?: number } = {},
): AgentPlan {
  const strangers = Array.from({ length: busy }, (_, i) => ({ name: `busy-${i}`, sessionUid: `busy-${i}` }));
  return planAgent({
    agent,
    sessions,
    livePods: [...idle.map(({ pod }) => ({ name: pod.metadata.name, sessionUid: undefined })), ...strangers],
    idle,
    sessionsOn: () => new Map(),
    bound: new Set(),
    judged: new Set(),
    retryAt: new Map(),
    tellPositions: true,
    now: EPOCH + seconds * 1000,
    ...view,
  });
}

const sessions = (count: number, prefix = 's'): Session[] =>
  Array.from({ length: count }, (_, i) => makeSession(`${prefix}${String(i).padStart(2, '0')}`));
const pods = (count: number, options: Parameters<typeof makeIdle>[1] = {}, prefix = 'p'): WarmPod[] =>
  Array.from({ length: count }, (_, i) => makeIdle(`${prefix}${i}`, { readySince: i, ...options }));
const given = ({ start }: AgentPlan) => start.map(({ session, pod }) => [session.metadata.name, pod?.metadata.name]);
const reasons = ({ statuses }: AgentPlan) => statuses.map(({ status }) => status.reason);
const leaving = { metadata: { deletionTimestamp: at(-1) } };

describe('pods that wait', () => {
  it('go to Sessions in the order in which those came, the best pod first', () => {
    const late = makeSession('a', { metadata: { creationTimestamp: at(1) } });
    expect(given(plan(10, [late, ...sessions(2)], pods(3)))).toEqual([
      ['s00', 'p0'],
      ['s01', 'p1'],
      ['a', 'p2'],
    ]);
  });

  it('go first, and then pods are made', () => {
    expect(given(plan(10, sessions(3), pods(1)))).toEqual([
      ['s00', 'p0'],
      ['s01', undefined],
      ['s02', undefined],
    ]);
  });

  it('go to one Session each', () => {
    const planned = plan(50, sessions(20), pods(12));
    const names = planned.start.flatMap(({ pod }) => pod?.metadata.name ?? []);
    expect(names).toHaveLength(12);
    expect(new Set(names).size).toBe(12);
    expect(planned).toMatchObject({ active: 0, activeSoon: 20 });
  });

  it('hold no session’s place: at the cap of pods a Session starts on one of them', () => {
    expect(given(plan(3, sessions(1), pods(3)))).toEqual([['s00', 'p0']]);
    expect(given(plan(3, sessions(2), pods(1), { busy: 2 }))).toEqual([['s00', 'p0']]);
  });

  it('serve also while they start, when the cap leaves no other', () => {
    expect(given(plan(2, sessions(2), pods(2, { ready: false })))).toHaveLength(2);
  });

  it('serve also while they start rather than one that is to be made', () => {
    expect(given(plan(10, sessions(2), pods(1, { ready: false })))).toEqual([
      ['s00', 'p0'],
      ['s01', undefined],
    ]);
  });

  it('serve after those that are made where they may never be ready, and even so when the cap leaves no other', () => {
    const hung = [makeIdle('hung', { ready: false, agent: waitingNow('CrashLoopBackOff') })];
    expect(given(plan(10, sessions(1), hung))).toEqual([['s00', undefined]]);
    expect(given(plan(2, sessions(2), hung))).toEqual([
      ['s00', undefined],
      ['s01', 'hung'],
    ]);
  });

  it('serve also when they are of an earlier revision, unless they are not ready', () => {
    expect(given(plan(1, sessions(1), pods(1, { revision: 'rev-1' })))).toEqual([['s00', 'p0']]);
    expect(plan(1, sessions(1), pods(1, { revision: 'rev-1', ready: false })).start).toEqual([]);
  });

  it('serve not when they only try a revision that cannot start: a pod of the last good one is made', () => {
    const probe = pods(1, { revision: BROKEN_REVISION, ready: false });
    expect(given(plan(3, sessions(2), [...pods(1, {}, 'good'), ...probe]))).toEqual([
      ['s00', 'good0'],
      ['s01', undefined],
    ]);
    // At the cap it waits for the place of the probe.
    expect(plan(1, sessions(1), probe)).toMatchObject({ start: [], statuses: [], waiting: 1 });
  });

  it('serve no Session of protocol Process: they are left from before', () => {
    const agent = serving(10, { protocol: 'Process' });
    expect(given(plan(10, sessions(1), pods(2), { agent }))).toEqual([['s00', undefined]]);
  });

  it('serve nobody while the Agent is paused, refuses, or is gone', () => {
    for (const agent of [
      serving(10, { paused: true }),
      { state: 'missing' },
      { state: 'refusing', reason: 'AgentInvalid', message: 'm' },
    ] satisfies AgentView['agent'][])
      expect(plan(10, sessions(1), pods(1), { agent }).start).toEqual([]);
  });

  it('spread over the nodes that have the fewest sessions', () => {
    const idle = [makeIdle('full', { node: 'a' }), makeIdle('free', { node: 'b', readySince: 9 })];
    expect(given(plan(10, sessions(1), idle, { sessionsOn: () => new Map([['a', 3]]) }))).toEqual([['s00', 'free']]);
  });
});

describe('a pod of no use', () => {
  it('is waited for when it leaves and only it is in the way', () => {
    const planned = plan(1, sessions(1), pods(1, leaving));
    expect(planned).toMatchObject({ start: [], statuses: [] });
    expect(planned.requeueAfterMs).toBe(120_000);
  });

  it('is waited for as long as a start may take', () => {
    expect(plan(1, sessions(1), pods(1, leaving), { seconds: 119 }).requeueAfterMs).toBe(1000);
    expect(reasons(plan(1, sessions(1), pods(1, leaving), { seconds: 120 }))).toEqual(['AtCapacity']);
  });

  it('is not waited for beyond startBefore', () => {
    const session = makeSession('s', { spec: { startBefore: at(30) } });
    expect(plan(1, [session], pods(1, leaving)).requeueAfterMs).toBe(30_000);
    expect(reasons(plan(1, [session], pods(1, leaving), { seconds: 30 }))).toEqual(['StartBeforePassed']);
  });

  it('is not waited for when sessions have all places', () => {
    expect(reasons(plan(1, sessions(1), pods(1, leaving), { busy: 1 }))).toEqual(['AtCapacity']);
  });

  it('is waited for in the queue, where there is one', () => {
    const agent = serving(1, { whenFull: 'Queue', queueTimeoutSeconds: 30 });
    const planned = plan(1, sessions(1), pods(1, leaving), { agent });
    expect(reasons(planned)).toEqual(['Queued']);
    expect(planned.requeueAfterMs).toBe(30_000);
  });

  it('is waited for by one Session, and the others are told that there is no place', () => {
    const planned = plan(3, sessions(5), pods(2, leaving), { busy: 1 });
    expect(planned.start).toEqual([]);
    expect(reasons(planned)).toEqual(['AtCapacity', 'AtCapacity', 'AtCapacity']);
    expect(planned.statuses.map(({ session }) => session.metadata.name)).toEqual(['s02', 's03', 's04']);
    expect(planned.requeueAfterMs).toBe(120_000);
  });

  it('is waited for by no more Sessions than may run', () => {
    expect(reasons(plan(3, sessions(3), pods(3, leaving), { busy: 1 }))).toEqual(['AtCapacity']);
  });

  it('is waited for only by Sessions that get no other', () => {
    const planned = plan(3, sessions(4), [...pods(2, leaving), makeIdle('good')]);
    expect(given(planned)).toEqual([['s00', 'good']]);
    expect(reasons(planned)).toEqual(['AtCapacity']);
  });

  it('is waited for also when it is not of use yet', () => {
    const old = pods(1, { revision: 'rev-1', ready: false });
    expect(plan(1, sessions(1), old)).toMatchObject({ start: [], statuses: [] });
    // It is being made.
    const livePods = [{ name: 'made', sessionUid: undefined }];
    expect(plan(1, sessions(1), [], { livePods })).toMatchObject({ start: [], statuses: [] });
    expect(reasons(plan(1, sessions(2), [], { livePods }))).toEqual(['AtCapacity']);
  });

  it('is not waited for on a node that is silent: nothing happens there', () => {
    const silent = [makeIdle('p', { node: 'silent' })];
    expect(reasons(plan(1, sessions(1), silent))).toEqual(['AtCapacity']);
  });

  it('is not waited for where it is the pod of a Session', () => {
    const livePods = [{ name: 'spent', sessionUid: 'uid-gone' }];
    expect(reasons(plan(1, sessions(1), [], { livePods }))).toEqual(['AtCapacity']);
  });

  it('does not keep a Session from a pod that is of use', () => {
    expect(given(plan(2, sessions(1), [...pods(1, leaving), makeIdle('good')]))).toEqual([['s00', 'good']]);
  });
});

/** It was admitted and has lost its pod. */
const retrying = makeSession('r', {
  status: boundStatus(makeSession('r'), {
    phase: 'Starting',
    reason: 'Retrying',
    attempt: 1,
    podUID: undefined,
    podName: undefined,
  }),
});

describe('an Agent of which Kubernetes makes no pods', () => {
  const refusing = (spec: Partial<AgentSpecInput> = {}): AgentView['agent'] => ({
    state: 'serving',
    spec: agentSpec.parse({ image: 'i', scaling: { maxAgents: 10 }, ...spec }),
    refusal: 'Agent echo: Pod is invalid',
  });

  it('gives its Sessions the pods that wait, and tells the others why there are no more', () => {
    const planned = plan(10, sessions(4), pods(2), { agent: refusing() });
    expect(given(planned)).toEqual([
      ['s00', 'p0'],
      ['s01', 'p1'],
    ]);
    expect(reasons(planned)).toEqual(['AgentInvalid', 'AgentInvalid']);
    expect(planned.statuses[0]?.status.message).toBe('Agent echo: Pod is invalid');
  });

  it('has nobody wait or queue for what will not come', () => {
    const queue = refusing({ whenFull: 'Queue', queueTimeoutSeconds: 30 });
    for (const agent of [refusing(), queue]) {
      expect(reasons(plan(10, sessions(2), [], { agent }))).toEqual(['AgentInvalid', 'AgentInvalid']);
      expect(reasons(plan(10, sessions(1), pods(1, leaving), { agent }))).toEqual(['AgentInvalid']);
    }
  });

  it('ends as Lost whoever was admitted and gets no pod that waits', () => {
    expect(given(plan(10, [retrying], pods(1), { agent: refusing(), seconds: 5 }))).toEqual([['r', 'p0']]);
    const planned = plan(10, [retrying], [], { agent: refusing(), seconds: 5 });
    expect(planned).toMatchObject({ start: [], active: 0 });
    expect(reasons(planned)).toEqual(['Lost']);
    expect(planned.statuses[0]?.outcome).toBe('Ended');
  });
});

describe('a Session that was admitted and has lost its pod', () => {
  it('gets a pod that waits, with the time and the limits of its admission', () => {
    const [start] = plan(2, [retrying], pods(1), { seconds: 5 }).start;
    expect(start?.pod?.metadata.name).toBe('p0');
    expect(start).toMatchObject({ admittedAt: retrying.status?.admittedAt, limits: LIMITS });
  });

  it('keeps its place at the cap, and needs no second one', () => {
    const planned = plan(2, [retrying, ...sessions(2)], pods(2), { seconds: 5 });
    expect(given(planned)).toEqual([
      ['r', 'p0'],
      ['s00', 'p1'],
    ]);
    expect(planned).toMatchObject({ active: 1, activeSoon: 2 });
  });

  it('waits for its spent pod to go where that has the last place', () => {
    const spent = { livePods: [{ name: 'spent', sessionUid: 'uid-r' }] };
    expect(plan(1, [retrying], [], { ...spent, seconds: 5 })).toMatchObject({ start: [], requeueAfterMs: 115_000 });
    expect(given(plan(1, [retrying], [], { livePods: [], seconds: 5 }))).toEqual([['r', undefined]]);
  });

  it('ends when its time is over', () => {
    expect(reasons(plan(2, [retrying], pods(1), { seconds: 120 }))).toEqual(['StartTimeout']);
  });
});

describe('whoever comes', () => {
  const pod = fc.record({
    ready: fc.boolean(),
    revision: fc.constantFrom(REVISION, 'rev-1'),
    metadata: fc.constantFrom({}, {}, {}, leaving.metadata),
    node: fc.constantFrom('a', 'b', null, 'silent', 'cordoned'),
  });

  it('no pod goes to two, no more run than maxAgents, and no more pods are made than that leaves', () => {
    fc.assert(
      fc.property(
        fc.array(pod, { maxLength: 10 }),
        fc.nat(12),
        fc.nat(8),
        fc.nat(14),
        fc.constantFrom('Reject' as const, 'Queue' as const),
        (options, count, busy, maxAgents, whenFull) => {
          const idle = options.map((each, i) => makeIdle(`p${i}`, each));
          const agent = serving(maxAgents, { whenFull });
          const planned = plan(maxAgents, sessions(count), idle, { agent, busy });
          const claims = planned.start.flatMap(({ pod: claimed }) => claimed?.metadata.uid ?? []);
          expect(new Set(claims).size).toBe(claims.length);
          const made = planned.start.length - claims.length;
          if (made > 0) expect(idle.length + busy + made).toBeLessThanOrEqual(maxAgents);
          if (planned.start.length > 0) expect(busy + planned.start.length).toBeLessThanOrEqual(maxAgents);
          // A place is kept for each that waits for a pod to go, or to be of use.
          const told = planned.statuses.length;
          const waiting = count - planned.start.length - told;
          const useless = idle.filter(({ usable, ready, current }) => !usable || !(ready || current)).length;
          expect(waiting).toBeLessThanOrEqual(whenFull === 'Queue' ? 0 : useless);
          expect(planned.activeSoon).toBe(busy + planned.start.length);
          if (planned.activeSoon > busy) expect(planned.activeSoon).toBeLessThanOrEqual(maxAgents);
          // Whoever came first is served first.
          const started = planned.start.map(({ session }) => session.metadata.name);
          expect(started).toEqual(
            sessions(count)
              .slice(0, started.length)
              .map(({ metadata }) => metadata.name),
          );
          // Nobody is turned away while a pod waits for which there is a place.
          const useful = idle.filter(({ usable, ready, current }) => usable && (ready || current)).length;
          const possible = Math.min(count, Math.max(0, maxAgents - busy));
          expect(started.length).toBeGreaterThanOrEqual(Math.min(possible, useful));
        },
      ),
    );
  });
});
