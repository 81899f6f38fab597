import { describe, expect, it } from 'vitest';
import { agentSpec, type AgentSpecInput } from '../api/agent.ts';
import type { Session } from '../api/session.ts';
import { planAgent, QUEUE_POSITIONS_TOLD, type AgentPlan, type AgentView } from './agent-plan.ts';
import { at, boundStatus, EPOCH, LIMITS, makeSession } from './testing/objects.ts';

function serving(spec: Partial<AgentSpecInput>): AgentView['agent'] {
  return { state: 'serving', spec: agentSpec.parse({ image: 'i', protocol: 'Process', ...spec }) };
}

function plan(sessions: Session[], view: Partial<AgentView> = {}, seconds = 0): AgentPlan {
  return planAgent({
    agent: serving({ scaling: { maxAgents: 2 } }),
    sessions,
    livePods: [],
    idle: [],
    sessionsOn: () => new Map(),
    bound: new Set((view.livePods ?? []).flatMap(({ sessionUid }) => sessionUid ?? [])),
    judged: new Set(),
    retryAt: new Map(),
    tellPositions: true,
    now: EPOCH + seconds * 1000,
    ...view,
  });
}

const names = (items: { session: Session }[]): string[] => items.map(({ session }) => session.metadata.name);
const reasons = ({ statuses }: AgentPlan): (string | undefined)[] => statuses.map(({ status }) => status.reason);
const livePod = (session: Session) => ({ name: `pod-${session.metadata.name}`, sessionUid: session.metadata.uid });

describe('the cap', () => {
  it('admits in order of arrival, then by name, up to maxAgents, and rejects the rest', () => {
    const late = makeSession('a', { metadata: { creationTimestamp: at(2) } });
    const planned = plan([late, makeSession('c'), makeSession('b')]);
    expect(names(planned.start)).toEqual(['b', 'c']);
    expect(names(planned.statuses)).toEqual(['a']);
    expect(planned.statuses[0]?.status).toMatchObject({ phase: 'Rejected', reason: 'AtCapacity' });
  });

  it('counts a pod whose Session does not know it yet once, not twice', () => {
    const bound = makeSession('a');
    const planned = plan([bound, makeSession('b')], { livePods: [livePod(bound)] });
    expect(planned.active).toBe(1);
    expect(names(planned.start)).toEqual(['b']);
  });

  it('counts a Session that says it is active although its pod is not in the cache', () => {
    const active = makeSession('a', { status: boundStatus(makeSession('a'), { phase: 'Running' }) });
    expect(plan([active, makeSession('b'), makeSession('c')]).start).toHaveLength(1);
  });

  it('counts a pod of a Session that is gone, or that nobody knows', () => {
    const strangers = [
      { name: 'x', sessionUid: 'gone' },
      { name: 'y', sessionUid: undefined },
    ];
    expect(plan([makeSession('a')], { livePods: strangers }).start).toHaveLength(0);
  });

  it('admits nothing while lowered below what runs, and ends nothing', () => {
    const running = ['a', 'b', 'c'].map((name) =>
      makeSession(name, { status: boundStatus(makeSession(name), { phase: 'Running' }) }),
    );
    const planned = plan([...running, makeSession('d')], { livePods: running.map(livePod) });
    expect(reasons(planned)).toEqual(['AtCapacity']);
    expect(planned.start).toEqual([]);
  });

  it('admits nothing when maxAgents is 0', () => {
    expect(reasons(plan([makeSession('a')], { agent: serving({ scaling: { maxAgents: 0 } }) }))).toEqual([
      'AtCapacity',
    ]);
  });
});

describe('the limits of a session', () => {
  it('are the Agent’s, and a Session can only shorten its duration', () => {
    const agent = serving({ maxSessionDuration: 300 });
    const [longer, shorter] = [900, 5].map(
      (maxSessionDuration) => plan([makeSession('a', { spec: { maxSessionDuration } })], { agent }).start[0],
    );
    expect(longer?.limits.maxSessionDuration).toBe(300);
    expect(shorter?.limits.maxSessionDuration).toBe(5);
  });
});

describe('refusals', () => {
  it.each<[string, AgentView['agent'], Parameters<typeof makeSession>[1]]>([
    ['AgentNotFound', { state: 'missing' }, {}],
    ['AgentDeleting', { state: 'refusing', reason: 'AgentDeleting', message: 'm' }, {}],
    ['AgentInvalid', { state: 'refusing', reason: 'AgentInvalid', message: 'm' }, {}],
    ['AgentPaused', serving({ paused: true }), {}],
    ['StoppedBeforeStart', serving({}), { spec: { stop: true } }],
    ['StartBeforePassed', serving({}), { spec: { startBefore: at(-1) } }],
    ['SessionInvalid', serving({}), { spec: { maxSessionDuration: -1 } }],
  ])('%s', (reason, agent, session) => {
    const planned = plan([makeSession('a', session)], { agent });
    expect(planned.statuses[0]?.status).toMatchObject({ phase: 'Rejected', reason, endedAtSource: 'Controller' });
    expect(planned.start).toEqual([]);
  });

  it('leaves a Session that is being deleted alone', () => {
    expect(plan([makeSession('a', { metadata: { deletionTimestamp: at(0) } })])).toMatchObject({
      start: [],
      statuses: [],
    });
  });
});

describe('the queue', () => {
  const agent = serving({ scaling: { maxAgents: 1 }, whenFull: 'Queue', queueTimeoutSeconds: 30 });
  const queued = (name: string, position: number, since = 0): Session =>
    makeSession(name, {
      status: {
        phase: 'Pending',
        reason: 'Queued',
        queuedAt: new Date(EPOCH + since * 1000).toISOString(),
        queuePosition: position,
      },
    });

  it('tells each its place and wakes when the first has waited for too long', () => {
    const planned = plan([makeSession('a'), makeSession('b'), makeSession('c')], { agent });
    expect(names(planned.start)).toEqual(['a']);
    expect(planned.statuses.map(({ status }) => [status.phase, status.reason, status.queuePosition])).toEqual([
      ['Pending', 'Queued', 1],
      ['Pending', 'Queued', 2],
    ]);
    expect(planned).toMatchObject({ queued: 2, requeueAfterMs: 30_000 });
  });

  it('serves who came first, also before a newcomer', () => {
    const newcomer = makeSession('a', { metadata: { creationTimestamp: at(5) } });
    expect(names(plan([newcomer, queued('b', 1)], { agent }, 6).start)).toEqual(['b']);
  });

  it('rejects who has waited for too long', () => {
    const other = makeSession('x', { status: boundStatus(makeSession('x'), { phase: 'Running' }) });
    expect(plan([other, queued('b', 1)], { agent }, 30).statuses[0]?.status).toMatchObject({
      phase: 'Rejected',
      reason: 'QueueTimeout',
    });
  });

  it('writes nothing for places that have not changed', () => {
    const other = makeSession('x', { status: boundStatus(makeSession('x'), { phase: 'Running' }) });
    expect(plan([other, queued('b', 1), queued('c', 2)], { agent }, 3).statuses).toEqual([]);
  });

  it('tells moves only now and then, and only near the head', () => {
    const other = makeSession('x', { status: boundStatus(makeSession('x'), { phase: 'Running' }) });
    const line = Array.from({ length: 30 }, (_, i) => queued(`s${String(i).padStart(2, '0')}`, i + 2));
    expect(plan([other, ...line], { agent, tellPositions: false }, 3)).toMatchObject({
      statuses: [],
      positionsWaiting: true,
    });
    const told = plan([other, ...line], { agent }, 3);
    expect(told.statuses).toHaveLength(QUEUE_POSITIONS_TOLD);
    expect(told.toldPositions).toBe(true);
  });
});

describe('a Session whose pod has ended before its status says that it had one', () => {
  it('is left to the session loop: it ran, so it is neither rejected nor started again', () => {
    const session = makeSession('a', { spec: { stop: true } });
    expect(plan([session], { bound: new Set(['uid-a']) })).toMatchObject({ start: [], statuses: [] });
  });
});

describe('a Session that was admitted and has no pod', () => {
  const admitted = makeSession('a', {
    status: {
      phase: 'Starting',
      reason: 'QuotaExceeded',
      message: 'exceeded quota',
      admittedAt: new Date(EPOCH).toISOString(),
      limits: LIMITS,
    },
  });

  it('keeps its place and is tried again when it is time', () => {
    const waits = plan(
      [admitted, makeSession('b'), makeSession('c')],
      { retryAt: new Map([['uid-a', EPOCH + 5000]]) },
      1,
    );
    expect(names(waits.start)).toEqual(['b']);
    const again = plan([admitted], { retryAt: new Map([['uid-a', EPOCH + 5000]]) }, 5);
    expect(again.start[0]).toMatchObject({ admittedAt: admitted.status?.admittedAt, limits: LIMITS });
  });

  it('ends as StartTimeout with the cause', () => {
    const planned = plan([admitted], {}, 120);
    expect(planned.statuses[0]?.status).toMatchObject({
      phase: 'Ended',
      reason: 'StartTimeout',
      message: 'it did not start within 120 s: exceeded quota',
    });
  });

  it('ends as Stopped when it is stopped', () => {
    const stopped = { ...admitted, spec: { ...admitted.spec, stop: true } };
    expect(plan([stopped], {}, 1).statuses[0]?.status).toMatchObject({ phase: 'Ended', reason: 'Stopped' });
  });

  it('is not started again while the result of its creation is unknown', () => {
    expect(plan([admitted], { livePods: [{ name: 'p', sessionUid: 'uid-a' }] }, 1).start).toEqual([]);
  });
});
