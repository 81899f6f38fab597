import { describe, expect, it } from 'vitest';
import { agentSpec, type Agent, type AgentStatus } from '../api/agent.ts';
import { agentStatus, isMoreThanCounts } from './agent-status.ts';
import type { PoolReport } from './pool/pool-keeper.ts';
import { EPOCH, makeAgent } from './testing/objects.ts';

const verdict = { ok: true, spec: agentSpec.parse({ image: 'i' }), template: {}, revision: 'rev-2' } as const;
const unschedulable = { reason: 'Unschedulable', message: 'a warm pod: 0/3 nodes are available' } as const;

function statusOf(pool: Partial<PoolReport>, before?: AgentStatus): AgentStatus {
  const agent: Agent = { ...makeAgent(), ...(before && { status: before }) };
  const report = { target: 3, warm: 3, ready: 3, outdated: 0, instead: false, ...pool };
  return agentStatus(agent, verdict, { active: 0, queued: 0, warm: report.warm, pool: report }, EPOCH);
}

const readyOf = ({ conditions }: AgentStatus) => conditions?.find(({ type }) => type === 'Ready');

describe('whether an Agent is ready', () => {
  it('is plain where all is well', () => {
    expect(readyOf(statusOf({}))).toMatchObject({ status: 'True', reason: 'Ready' });
  });

  it('is yes, with what is wrong, while some of its pods wait and others cannot', () => {
    expect(readyOf(statusOf({ ready: 1, problem: unschedulable }))).toMatchObject({
      status: 'True',
      reason: 'PoolIncomplete',
      message: 'Unschedulable: a warm pod: 0/3 nodes are available',
    });
  });

  it('is no when none is ready', () => {
    expect(readyOf(statusOf({ ready: 0, problem: unschedulable }))).toMatchObject({
      status: 'False',
      reason: 'Unschedulable',
    });
  });

  it.each([0, 1])('keeps the first wording of a problem, which costs no write then (%i ready)', (ready) => {
    const first = statusOf({ ready, problem: unschedulable });
    const again = statusOf({ ready, problem: { ...unschedulable, message: 'a warm pod: 0/4 nodes' } }, first);
    expect(readyOf(again)).toEqual(readyOf(first));
  });

  it('says that the revision before serves meanwhile, as soon as it does, and does not change its mind with every pod', () => {
    const first = statusOf({ ready: 0, warm: 0, problem: unschedulable });
    expect(readyOf(first)?.message).not.toContain('until then');
    const then = statusOf({ ready: 0, warm: 0, problem: unschedulable, instead: true }, first);
    expect(readyOf(then)?.message).toBe(
      'a warm pod: 0/3 nodes are available; until then Sessions get pods of the revision before',
    );
    const again = statusOf({ ready: 0, warm: 2, outdated: 1, problem: unschedulable, instead: true }, then);
    expect(again.conditions).toEqual(then.conditions);
  });

  it('says so also of a revision that Kubernetes refuses', () => {
    const refused = { ok: false, reject: 'AgentInvalid', reason: 'InvalidSpec', message: 'no', revision: 'r' } as const;
    const pool = { target: 1, warm: 1, ready: 0, outdated: 0, instead: true };
    const status = agentStatus(makeAgent(), refused, { active: 0, queued: 0, warm: 1, pool }, EPOCH);
    expect(readyOf(status)?.message).toBe('no; until then Sessions get pods of the revision before');
    expect(status.revision).toBe('r');
  });

  it('tells of another problem', () => {
    const first = statusOf({ ready: 1, problem: unschedulable });
    const other = statusOf({ ready: 1, problem: { reason: 'ImagePullFailed', message: 'a warm pod: gone' } }, first);
    expect(readyOf(other)).toMatchObject({ message: 'ImagePullFailed: a warm pod: gone' });
  });
});

describe('what is known of the revisions', () => {
  const counts = { active: 0, queued: 0, warm: 0 };

  it.each([
    ['recorded', 'recordedRevision'],
    ['lastReady', 'lastReadyRevision'],
  ] as const)('is written as soon as there is one %s, and stays', (known, field) => {
    const before = agentStatus(makeAgent(), verdict, counts, EPOCH);
    const after = agentStatus({ ...makeAgent(), status: before }, verdict, { ...counts, [known]: 'rev-2' }, EPOCH);
    expect(after[field]).toBe('rev-2');
    expect(isMoreThanCounts(before, after)).toBe(true);
    const later = agentStatus({ ...makeAgent(), status: after }, verdict, counts, EPOCH);
    expect(later).toEqual(after);
  });
});
