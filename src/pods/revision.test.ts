import { describe, expect, it } from 'vitest';
import { agentSpec, type AgentSpecInput } from '../api/agent.ts';
import { STRICT_POLICY } from './policy.ts';
import { podPart, revisionOf, withPodPart, type BesideSpec } from './revision.ts';

const supervisor = { image: 'bullpen:1', imagePullPolicy: 'Always' as const, imagePullSecrets: [], resources: {} };

function revision(input: Partial<AgentSpecInput> = {}, beside: Partial<BesideSpec> = {}): string {
  const spec = agentSpec.parse({ image: 'example/echo:1', ...input });
  return revisionOf(spec, { redeploy: undefined, supervisor, policy: STRICT_POLICY, ...beside });
}

describe('a new revision', () => {
  it.each<[string, Partial<AgentSpecInput>]>([
    ['the image', { image: 'example/echo:2' }],
    ['the command', { command: ['run'] }],
    ['a variable', { env: [{ name: 'A', value: '1' }] }],
    ['a set of secrets', { secretSet: 'keys' }],
    ['the port', { port: 9000 }],
    ['the profile', { profile: 'agent-2x' }],
    ['the protocol', { protocol: 'Process' }],
    ['the goodbye', { terminationGracePeriodSeconds: 60 }],
    ['the pod template', { podTemplate: { spec: { nodeSelector: { disk: 'fast' } } } }],
    ['labels of the pod template', { podTemplate: { metadata: { labels: { team: 'a' } } } }],
  ])('is made by a change of %s', (_name, input) => {
    expect(revision(input)).not.toBe(revision());
  });

  it('is made by each new value of the annotation that asks for it', () => {
    const revisions = [undefined, '', '1', '2'].map((redeploy) => revision({}, { redeploy }));
    expect(new Set(revisions).size).toBe(4);
  });

  it('is made by another supervisor, or another policy, but only where there is one in the pod', () => {
    const other = { supervisor: { ...supervisor, image: 'bullpen:2' } };
    const strict = { policy: { ...STRICT_POLICY, runAsNonRoot: true } };
    expect(revision({}, other)).not.toBe(revision());
    expect(revision({}, strict)).not.toBe(revision());
    expect(revision({ protocol: 'Process' }, other)).toBe(revision({ protocol: 'Process' }));
  });
});

describe('no new revision', () => {
  it.each<[string, Partial<AgentSpecInput>]>([
    ['scaling', { scaling: { minAgents: 3, maxAgents: 9, buffer: { percent: 20, count: 1 }, cooldownSeconds: 1 } }],
    ['a pause', { paused: true }],
    ['the queue', { whenFull: 'Queue', queueTimeoutSeconds: 5 }],
    ['limits of sessions', { maxSessionDuration: 60, startTimeoutSeconds: 5, nodeLostAfterSeconds: 5 }],
    ['retention', { retention: { pods: { seconds: 1, count: 1 }, sessions: { seconds: 1, count: 1 } } }],
  ])('is made by %s', (_name, input) => {
    expect(revision(input)).toBe(revision());
  });

  it('is made by the order of keys, or by a default that is spelt out', () => {
    const template = (spec: object): Partial<AgentSpecInput> => ({ podTemplate: { spec: { ...spec } } });
    expect(revision(template({ priorityClassName: 'p', nodeSelector: { a: '1', b: '2' } }))).toBe(
      revision(template({ nodeSelector: { b: '2', a: '1' }, priorityClassName: 'p' })),
    );
    expect(revision({ port: 8080, protocol: 'Http' })).toBe(revision());
  });

  it('is made by what the installation allows: that is judged before a pod is made', () => {
    expect(revision({}, { policy: { ...STRICT_POLICY, allowHostPath: true } })).toBe(revision());
  });

  it('can be told apart by order in a list: that has a meaning', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'B', value: '$(A)' },
    ];
    expect(revision({ env })).not.toBe(revision({ env: [...env].reverse() }));
  });
});

it('can be the value of a label', () => {
  expect(revision()).toMatch(/^[a-z0-9]{10}$/);
});

describe('the pods of an earlier revision', () => {
  it('are what they were, within what the Agent says now', () => {
    const before = agentSpec.parse({ image: 'i:1', env: [{ name: 'A', value: '1' }], scaling: { minAgents: 1 } });
    const now = agentSpec.parse({ image: 'i:2', secretSet: 's', scaling: { minAgents: 5 }, startTimeoutSeconds: 9 });
    const both = agentSpec.parse(withPodPart(now, podPart(before)));
    expect(both).toEqual({ ...before, scaling: now.scaling, startTimeoutSeconds: 9 });
    const beside = { redeploy: undefined, supervisor, policy: STRICT_POLICY };
    expect(revisionOf(both, beside)).toBe(revisionOf(before, beside));
  });
});
