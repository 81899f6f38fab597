import { describe, expect, it } from 'vitest';
import type { SessionStatus } from '../../api/session.ts';
import { makeSession } from '../../api/testing/objects.ts';
import { deploymentId } from '../agents/deployment-id.ts';
import { selectSessions, sessionQuery } from './session-filter.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const iso = (seconds: number): string => new Date(T0 + seconds * 1000).toISOString();

function made(name: string, second: number, status: SessionStatus) {
  return makeSession(name, { status, metadata: { creationTimestamp: iso(second) } });
}

/** Newest first, as the directory has them. */
const all = [
  made('waits', 40, { phase: 'Pending' }),
  made('runs', 30, { phase: 'Running', startKind: 'Warm', startedAt: iso(30.2), revision: 'r2' }),
  made('slow', 20, { phase: 'Running', startKind: 'Cold', startedAt: iso(28), revision: 'r1' }),
  made('stopped', 10, {
    phase: 'Ended',
    reason: 'Stopped',
    startKind: 'Cold',
    startedAt: iso(13),
    endedAt: iso(20),
    revision: 'r1',
  }),
  made('refused', 0, { phase: 'Rejected', reason: 'AtCapacity', endedAt: iso(0) }),
];

function select(query: Record<string, string>, limit?: number): string[] {
  return selectSessions(all, sessionQuery.parse(query), limit).sessions.map(({ metadata }) => metadata.name);
}

describe('a list of sessions', () => {
  it.each([
    [{}, ['waits', 'runs', 'slow', 'stopped', 'refused']],
    [{ status: 'all' }, ['waits', 'runs', 'slow', 'stopped', 'refused']],
    [{ status: 'active' }, ['waits', 'runs', 'slow']],
    [{ status: 'ended' }, ['stopped', 'refused']],
    [{ startType: 'warm' }, ['runs']],
    [{ startType: 'cold' }, ['slow', 'stopped']],
    [{ startType: 'all', status: 'active' }, ['waits', 'runs', 'slow']],
    [{ startTimeMin: '0' }, ['waits', 'runs', 'slow', 'stopped', 'refused']],
    [{ startTimeMin: '3' }, ['slow', 'stopped']],
    [{ startTimeMax: '3' }, ['runs', 'stopped']],
    [{ startTimeMin: '1', startTimeMax: '3' }, ['stopped']],
    [{ startTime: String(T0 / 1000 + 20) }, ['waits', 'runs', 'slow']],
    [{ endTime: String(T0 / 1000 + 20) }, ['slow', 'stopped', 'refused']],
    [{ endState: 'terminated' }, ['stopped']],
    [{ endState: 'active' }, ['waits', 'runs', 'slow']],
    [{ endState: 'ended_before_agent_start' }, ['refused']],
    [{ deploymentId: deploymentId('team-a', 'echo', 'r1') }, ['slow', 'stopped']],
    [{ deploymentId: 'other' }, []],
    [{ include: 'anything' }, ['waits', 'runs', 'slow', 'stopped', 'refused']],
  ])('%j has %j', (query, names) => {
    expect(select(query)).toEqual(names);
  });

  it('comes in pages, of which the total knows nothing', () => {
    expect(select({ limit: '2' })).toEqual(['waits', 'runs']);
    expect(select({ limit: '2', offset: '4' })).toEqual(['refused']);
    expect(select({ offset: '9' })).toEqual([]);
    expect(select({}, 1)).toEqual(['waits']);
    expect(selectSessions(all, sessionQuery.parse({ status: 'ended', limit: '1' })).total).toBe(2);
  });

  it('has ten when nobody says how many', () => {
    const many = Array.from({ length: 12 }, (_, index) => made(`s${index}`, index, { phase: 'Running' }));
    expect(selectSessions(many, {})).toMatchObject({ total: 12, sessions: { length: 10 } });
  });

  it.each([{ status: 'bad' }, { startType: 'lukewarm' }, { limit: '0' }, { offset: '-1' }, { startTime: 'yesterday' }])(
    'cannot be narrowed by %j',
    (query) => {
      expect(sessionQuery.safeParse(query).success).toBe(false);
    },
  );
});
