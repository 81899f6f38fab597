import { describe, expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import type { Pod } from '../kube/objects.ts';
import { mayLackBeginning } from './session-log.ts';

const EPOCH = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number): string => new Date(EPOCH + seconds * 1000).toISOString();
const whole = (seconds: number): string => at(seconds).replace('.000Z', 'Z');

const runs = (from: number) => ({ state: { running: { startedAt: whole(from) } } });
const ran = (from: number) => ({ terminated: { exitCode: 1, startedAt: whole(from) } });

/** A session that its agent was told of at second 100; the agent runs since second 10. */
function ask(
  line: string | undefined,
  { agent = undefined as object | undefined, startedAt = at(100.5) } = {},
): boolean {
  const session = { status: { phase: 'Running', startedAt } } as unknown as Session;
  const pod = {
    metadata: {},
    status: { initContainerStatuses: [{ name: 'agent', ...(agent ?? runs(10)) }] },
  } as unknown as Pod;
  return mayLackBeginning({ session, pod, firstLine: line });
}

describe('the beginning of a log', () => {
  it.each([
    ['the agent wrote when it began to listen', `${at(11)} listening`],
    ['the first line is of the start itself', `${at(100.5)} session`],
    ['the agent took its time', `${at(110)} hello`],
    ['the time has nanoseconds', '2026-01-01T00:01:41.123456789Z hello'],
    ['the node has a time zone', '2026-01-01T02:01:41.123456789+02:00 hello'],
    ['the agent has written nothing', undefined],
    ['the line is empty', ''],
    ['the line has no time', 'unable to retrieve container logs'],
  ])('is there when %s', (_what, line) => {
    expect(ask(line)).toBe(false);
  });

  it.each([
    ['the first line is of long after the start', `${at(111)} and so on`],
    ['that has nanoseconds', '2026-01-01T00:02:01.123456789Z and so on'],
    ['that is of a node with a time zone', '2025-12-31T19:02:01.123456789-05:00 and so on'],
  ])('may be missing when %s', (_what, line) => {
    expect(ask(line)).toBe(true);
  });

  it('is there, whatever is served, before the session has started', () => {
    expect(ask(`${at(500)} hello`, { startedAt: '' })).toBe(false);
  });

  it('is there with an agent that has ended', () => {
    expect(ask(`${at(101)} hello`, { agent: { state: ran(10) } })).toBe(false);
  });

  it('is there when the agent was started again before the session', () => {
    expect(ask(`${at(99)} listening`, { agent: { ...runs(98), lastState: ran(10) } })).toBe(false);
  });

  it('is there when the agent of protocol Process, whose start is that of the session, has ended', () => {
    expect(ask(`${at(100)} hello`, { agent: { state: ran(100) }, startedAt: whole(100) })).toBe(false);
  });

  it.each([
    ['runs', { ...runs(103), lastState: ran(10) }],
    ['has ended once more', { state: ran(103), lastState: ran(10) }],
    ['waits to be started once more', { state: { waiting: {} }, lastState: ran(103) }],
  ])('is missing when the agent was started again in the session, and %s: that was another run', (_what, agent) => {
    expect(ask(`${at(103.2)} listening`, { agent })).toBe(true);
    expect(ask(undefined, { agent })).toBe(true);
  });

  it('is there while the agent that crashed in the session waits to be started again', () => {
    expect(ask(`${at(11)} listening`, { agent: { state: { waiting: {} }, lastState: ran(10) } })).toBe(false);
  });
});
