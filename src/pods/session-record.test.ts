import { describe, expect, it } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import type { TerminationMessage } from '../supervisor/wire.ts';
import { boundAgentExit, sessionRecord, supervisorRan, supervisorTerminated } from './session-record.ts';

const EPOCH = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number): string => new Date(EPOCH + seconds * 1000).toISOString().replace('.000Z', 'Z');

const record: TerminationMessage = {
  bullpen: 1,
  session: 'uid-1',
  delivered: true,
  outcome: 'ConnectionBroken',
  startedAt: EPOCH + 10_400,
  endedAt: EPOCH + 20_000,
};

function podWith(statuses: { agent?: object; supervisor?: object }): Pod {
  const status = (name: string, more: object | undefined) => (more === undefined ? [] : [{ name, ...more }]);
  return {
    metadata: {},
    status: {
      initContainerStatuses: status('agent', statuses.agent),
      containerStatuses: status('supervisor', statuses.supervisor),
    },
  } as unknown as Pod;
}

const ran = (from: number, to: number, exitCode: number, reason = 'Error') => ({
  terminated: { exitCode, reason, startedAt: at(from), finishedAt: at(to) },
});
const runs = (from: number) => ({ running: { startedAt: at(from) } });

describe('the record of the supervisor', () => {
  it('is what it wrote when it ended', () => {
    const state = { terminated: { exitCode: 0, message: JSON.stringify(record) } };
    expect(sessionRecord(podWith({ supervisor: { state } }))).toEqual(record);
  });

  it.each<[string, object]>([
    ['it still runs', runs(1)],
    ['it left no message', { terminated: { exitCode: 0 } }],
    ['the message is the end of a log', { terminated: { exitCode: 1, message: 'Error: listen EADDRINUSE' } }],
    ['the message is cut', { terminated: { exitCode: 0, message: JSON.stringify(record).slice(0, 40) } }],
    [
      'the message says something unknown',
      { terminated: { exitCode: 0, message: JSON.stringify({ ...record, outcome: 'Bored' }) } },
    ],
    ['the message is not ours', { terminated: { exitCode: 0, message: '{"outcome":"Completed","delivered":true}' } }],
  ])('is missing when %s', (_name, state) => {
    expect(sessionRecord(podWith({ supervisor: { state } }))).toBeUndefined();
  });

  it('is not that of a run before: the end counts only while the supervisor is ended', () => {
    const lastState = { terminated: { exitCode: 0, message: JSON.stringify(record) } };
    expect(supervisorTerminated(podWith({ supervisor: { state: {}, lastState } }))).toBeUndefined();
  });
});

describe('whether the supervisor ever ran', () => {
  it.each<[string, boolean, object]>([
    ['it runs', true, runs(3)],
    ['it has ended', true, ran(3, 9, 0)],
    [
      'its kubelet has lost track of it, and so has no time',
      true,
      { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', startedAt: null, finishedAt: null } },
    ],
    ['its container is being made', false, { waiting: { reason: 'PodInitializing' } }],
    ['its image cannot be pulled', false, { waiting: { reason: 'ErrImagePull' } }],
    [
      'it could not be started, and so has the zero time',
      false,
      { terminated: { exitCode: 128, reason: 'StartError', startedAt: '1970-01-01T00:00:00Z' } },
    ],
  ])('%s: %s', (_name, expected, state) => {
    expect(supervisorRan(podWith({ supervisor: { state } }))).toBe(expected);
  });

  it('the node refused the pod: false', () => {
    expect(supervisorRan(podWith({}))).toBe(false);
  });
});

describe('how the agent ended that had the session', () => {
  const exitOf = (agent: object | undefined) => boundAgentExit(podWith(agent === undefined ? {} : { agent }), record);

  it('is its only run', () => {
    expect(exitOf({ state: ran(2, 15, 7) })).toMatchObject({ exitCode: 7 });
  });

  it('is unknown while that run goes on: it closed the connection and lives', () => {
    expect(exitOf({ state: runs(2) })).toBeUndefined();
  });

  it('is not the end of a run before the session, however bad that was', () => {
    expect(exitOf({ state: runs(5), lastState: ran(2, 4, 137, 'OOMKilled') })).toBeUndefined();
    expect(exitOf({ state: ran(5, 19, 1), lastState: ran(2, 4, 137, 'OOMKilled') })).toMatchObject({ exitCode: 1 });
  });

  it('is found after the agent was started again', () => {
    expect(exitOf({ state: runs(17), lastState: ran(2, 15, 137, 'OOMKilled') })).toMatchObject({ reason: 'OOMKilled' });
  });

  it('is found while the kubelet waits before it starts the agent again', () => {
    const state = { waiting: { reason: 'CrashLoopBackOff' } };
    expect(exitOf({ state, lastState: ran(2, 15, 3) })).toMatchObject({ exitCode: 3 });
  });

  it('is found after the agent was started again and ended again', () => {
    expect(exitOf({ state: ran(17, 18, 0), lastState: ran(2, 15, 3) })).toMatchObject({ exitCode: 3 });
  });

  it('is unknown once two later runs have ended: the kubelet keeps two records', () => {
    expect(exitOf({ state: ran(19, 20, 0), lastState: ran(17, 18, 1) })).toBeUndefined();
    expect(exitOf({ state: { waiting: {} }, lastState: ran(17, 18, 1) })).toBeUndefined();
  });

  it('is that of the run which began in the second of the session, and not of the one before', () => {
    // It started at 10.2 s, which the kubelet cuts to 10; the session began at 10.4 s.
    expect(exitOf({ state: ran(10, 15, 9), lastState: ran(2, 9, 1) })).toMatchObject({ exitCode: 9 });
  });

  it('is that of the run which ended when the session did, where the next one began in the second of the session', () => {
    const short = { ...record, startedAt: EPOCH + 10_050, endedAt: EPOCH + 10_060 };
    const exit = (agent: object) => boundAgentExit(podWith({ agent }), short);
    expect(exit({ state: runs(10), lastState: ran(2, 10, 3) })).toMatchObject({ exitCode: 3 });
    expect(exit({ state: ran(10, 12, 9), lastState: ran(2, 10, 3) })).toMatchObject({ exitCode: 3 });
    // The session was with the second run, which closed the connection and lives.
    const long = { ...short, startedAt: EPOCH + 10_900, endedAt: EPOCH + 20_000 };
    expect(boundAgentExit(podWith({ agent: { state: runs(10), lastState: ran(2, 10, 3) } }), long)).toBeUndefined();
    // It ended before the session began, however shortly before the session ended.
    const early = { ...short, endedAt: EPOCH + 10_200 };
    expect(boundAgentExit(podWith({ agent: { state: runs(9), lastState: ran(2, 9, 3) } }), early)).toBeUndefined();
  });

  it('is that of the run which crashed, where the one started after it in the same second was told to end with the pod', () => {
    const late = { ...record, startedAt: EPOCH + 10_900, endedAt: EPOCH + 10_950 };
    const exit = (agent: object) => boundAgentExit(podWith({ agent }), late);
    expect(exit({ state: ran(10, 11, 0), lastState: ran(2, 10, 3) })).toMatchObject({ exitCode: 3 });
    expect(exit({ state: ran(10, 10, 0), lastState: ran(2, 10, 3) })).toMatchObject({ exitCode: 3 });
    expect(exit({ state: ran(10, 10, 0), lastState: ran(10, 10, 3) })).toMatchObject({ exitCode: 3 });
    // The crash was told late: the connection broke first.
    const crossing = { ...late, endedAt: EPOCH + 10_999 };
    const agent = { state: ran(10, 12, 0), lastState: ran(2, 11, 3) };
    expect(boundAgentExit(podWith({ agent }), crossing)).toMatchObject({ exitCode: 3 });
  });

  it('is not that of a run which began a second later', () => {
    expect(exitOf({ state: ran(11, 15, 9), lastState: ran(2, 10, 1) })).toMatchObject({ exitCode: 1 });
  });

  it('is not that of a container which never ran', () => {
    const lost = { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', startedAt: null } };
    expect(exitOf({ state: lost, lastState: ran(2, 15, 3) })).toMatchObject({ exitCode: 3 });
    expect(exitOf({ state: lost })).toBeUndefined();
  });

  it('is unknown where the session never began, or nobody tells of the agent', () => {
    const { startedAt: _startedAt, ...unstarted } = record;
    expect(boundAgentExit(podWith({ agent: { state: ran(2, 15, 7) } }), unstarted)).toBeUndefined();
    expect(exitOf(undefined)).toBeUndefined();
  });
});
