import { describe, expect, it } from 'vitest';
import { agentSpec, type Agent } from '../../api/agent.ts';
import { labels } from '../../api/names.ts';
import type { ControllerRevision } from '../../kube/objects.ts';
import type { Serving } from '../agent-state.ts';
import { at, makeAgent } from '../testing/objects.ts';
import { planRecord } from './plan-record.ts';

const agent = makeAgent({ protocol: 'Http' });
const spec = agentSpec.parse({ image: 'i:1', scaling: { minAgents: 2 }, env: [{ name: 'A', value: '1' }] });
const verdict: Serving = { ok: true, spec, template: {}, revision: 'new' };

function record(revision: string, number: number, owner = 'agent-uid'): ControllerRevision {
  const ownerReferences = [{ apiVersion: 'v', kind: 'Agent', name: 'echo', uid: owner }];
  const metadata = { name: `echo-${revision}`, uid: `uid-${revision}`, resourceVersion: '1', creationTimestamp: at(0) };
  return { metadata: { ...metadata, ownerReferences }, revision: number };
}

const names = (records: readonly ControllerRevision[]): string[] => records.map(({ metadata }) => metadata.name);
const good = (revision: string): Agent => ({ ...agent, status: { lastReadyRevision: revision } });

describe('the record of a revision', () => {
  it('has what makes the pods, and goes with its Agent', () => {
    const { create } = planRecord(agent, verdict, []);
    expect(create?.metadata).toMatchObject({
      name: 'echo-new',
      labels: { [labels.agent]: 'echo', [labels.revision]: 'new' },
      ownerReferences: [{ kind: 'Agent', uid: 'agent-uid', controller: true }],
    });
    expect(create?.data).toMatchObject({ spec: { image: 'i:1', env: [{ name: 'A', value: '1' }] } });
    expect(create?.data).not.toHaveProperty('spec.scaling');
  });

  it('has a greater number than those before', () => {
    expect(planRecord(agent, verdict, []).create?.revision).toBe(1);
    expect(planRecord(agent, verdict, [record('b', 7), record('a', 3)]).create?.revision).toBe(8);
  });

  it('is made once', () => {
    expect(planRecord(agent, verdict, [record('new', 2), record('old', 1)])).toEqual({ remove: [] });
  });

  it('of a revision that comes back is the newest again', () => {
    const before = record('new', 2);
    const planned = planRecord(agent, verdict, [record('a', 5), before, record('b', 3)]);
    expect(planned).toEqual({ renumber: { record: before, number: 6 }, remove: [] });
  });

  it('takes the place of one of an Agent that was deleted', () => {
    const other = record('new', 4, 'before');
    const planned = planRecord(agent, verdict, [other, record('old', 9, 'before')]);
    expect(planned.inTheWay).toBe(other);
    expect(planned).toMatchObject({ create: { revision: 1 }, remove: [] });
  });

  it('is one of ten: the oldest go, but never one that the status names', () => {
    const ten = Array.from({ length: 10 }, (_, i) => record(`r${i}`, i));
    expect(names(planRecord(agent, verdict, ten).remove)).toEqual(['echo-r0']);
    expect(names(planRecord(good('r0'), verdict, ten).remove)).toEqual(['echo-r1']);
    const named: Agent = { ...agent, status: { lastReadyRevision: 'r1', recordedRevision: 'r0' } };
    expect(names(planRecord(named, verdict, ten).remove)).toEqual(['echo-r2']);
    expect(names(planRecord(agent, { ...verdict, revision: 'r0' }, ten).remove)).toEqual([]);
    const more = [...ten, record('r10', 10)];
    expect(names(planRecord(agent, { ...verdict, revision: 'r0' }, more).remove)).toEqual(['echo-r1']);
  });
});
