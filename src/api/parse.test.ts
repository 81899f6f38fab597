import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAgentSpec, parseSessionSpec } from './parse.ts';

const agent = (fields: object = {}) => ({ image: 'busybox:1.36', ...fields });
const session = (fields: object = {}) => ({ agent: 'counter', ...fields });
const labels = (map: object) => agent({ podTemplate: { metadata: { labels: map } } });

/** Text of `characters` characters that JavaScript counts twice. */
const wide = (characters: number) => '𝄞'.repeat(characters);

describe('an Agent that says only its image', () => {
  test('gets all defaults', () => {
    expect(parseAgentSpec(agent())).toEqual({
      ok: true,
      spec: {
        image: 'busybox:1.36',
        protocol: 'Http',
        port: 8080,
        profile: 'agent-1x',
        maxSessionDuration: 7200,
        scaling: { minAgents: 0, maxAgents: 50, buffer: { percent: 0, count: 0 }, cooldownSeconds: 300 },
        whenFull: 'Reject',
        queueTimeoutSeconds: 60,
        paused: false,
        startTimeoutSeconds: 120,
        nodeLostAfterSeconds: 300,
        terminationGracePeriodSeconds: 10,
        retention: { pods: { seconds: 3600, count: 100 }, sessions: { seconds: 86_400, count: 1000 } },
      },
    });
  });
});

describe('what is wrong with an Agent is said in a sentence', () => {
  test.each<[string, unknown, string]>([
    ['nothing at all', undefined, 'spec is required'],
    ['not an object', 'x', 'spec must be an object'],
    ['no image', {}, 'spec.image is required'],
    ['an image with a space', agent({ image: 'a b' }), 'spec.image must be a container image'],
    ['a duration that is too short', agent({ maxSessionDuration: 30 }), 'spec.maxSessionDuration must be at least 60'],
    [
      'a duration that is too long',
      agent({ maxSessionDuration: 20_000 }),
      'spec.maxSessionDuration must be at most 14400',
    ],
    ['half a second', agent({ maxSessionDuration: 60.5 }), 'spec.maxSessionDuration must be a whole number'],
    ['a number as text', agent({ port: '80' }), 'spec.port must be a number'],
    ['an unknown protocol', agent({ protocol: 'Grpc' }), 'spec.protocol must be one of Process, Http'],
    [
      'more warm than allowed',
      agent({ scaling: { minAgents: 5, maxAgents: 3 } }),
      'spec.scaling: minAgents must not be above maxAgents',
    ],
    [
      'warm pods of a Process agent',
      agent({ protocol: 'Process', scaling: { minAgents: 1 } }),
      'spec.scaling: scaling.minAgents and scaling.buffer must be 0 with protocol Process',
    ],
    ['a variable without a name', agent({ env: [{ value: 'x' }] }), 'spec.env[0].name is required'],
    [
      'a variable with an impossible name',
      agent({ env: [{ name: '1' }] }),
      'spec.env[0].name must be the name of an env',
    ],
    ['a variable twice', agent({ env: [{ name: 'A' }, { name: 'A' }] }), 'spec.env must have each name only once'],
    ['too many arguments', agent({ args: Array<string>(257).fill('') }), 'spec.args must have at most 256 entries'],
    [
      'two sources of a variable',
      agent({ env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }),
      'spec.env[0]: an environment variable may have value or valueFrom, not both',
    ],
    [
      'an empty source',
      agent({ env: [{ name: 'A', valueFrom: {} }] }),
      'spec.env[0].valueFrom: valueFrom must have exactly',
    ],
    ['an empty envFrom', agent({ envFrom: [{}] }), 'spec.envFrom[0]: an entry of envFrom must have exactly one of'],
    [
      'a label of ours',
      labels({ 'bullpen.dev/state': 'warm' }),
      'spec.podTemplate.metadata.labels: labels that begin with',
    ],
    ['a label key that is no name', labels({ 'a b': 'x' }), 'spec.podTemplate.metadata.labels: keys of labels must be'],
    [
      'a label value that is none',
      labels({ team: 'a b' }),
      'spec.podTemplate.metadata.labels.team must be the value of a',
    ],
    ['a name that is none', agent({ secretSet: 'A' }), 'spec.secretSet must be the name of an object'],
  ])('%s', (_, value, sentence) => {
    const result = parseAgentSpec(value);
    expect(result.ok ? 'accepted' : result.message).toContain(sentence);
  });

  test('each problem is told, the first five of many', () => {
    const two = parseAgentSpec({ port: 0, maxSessionDuration: 1 });
    expect(two).toEqual({
      ok: false,
      message: 'spec.image is required; spec.port must be at least 1; spec.maxSessionDuration must be at least 60',
    });
    const many = parseAgentSpec(agent({ args: Array(9).fill(1) }));
    expect(many.ok ? '' : many.message).toMatch(/^spec.args\[0\] must be text; .*; and 4 more problems$/);
  });

  test('the value itself is not repeated', () => {
    const result = parseAgentSpec(
      agent({ env: [{ name: 'A=hunter2', value: 7 }], protocol: 'hunter2', port: 'hunter2' }),
    );
    expect(result.ok ? '' : result.message).not.toContain('hunter2');
  });
});

describe('what is wrong with a Session is said in a sentence', () => {
  test.each<[string, unknown, string]>([
    ['no agent', {}, 'spec.agent is required'],
    ['an agent that cannot exist', session({ agent: 'A' }), 'spec.agent must be the name of an Agent'],
    ['an agent with too long a name', session({ agent: 'a'.repeat(64) }), 'spec.agent must have at most 63 characters'],
    ['a body that is too long', session({ body: wide(8193) }), 'spec.body must have at most 8192 characters'],
    [
      'two bodies',
      session({ body: '', bodyFrom: { secretKeyRef: { name: 'a', key: 'b' } } }),
      'one of body, bodyFrom and sealedBody',
    ],
    ['a body from nowhere', session({ bodyFrom: {} }), 'spec.bodyFrom.secretKeyRef is required'],
    ['no time', session({ startBefore: 'tomorrow' }), 'spec.startBefore must be a time such as 2030-01-31T12:00:00Z'],
    ['the 30th of February', session({ startBefore: '2030-02-30T12:00:00Z' }), 'spec.startBefore must be a time'],
    ['no time at all to run', session({ maxSessionDuration: 0 }), 'spec.maxSessionDuration must be at least 1'],
    ['a negative TTL', session({ ttlSecondsAfterFinished: -1 }), 'spec.ttlSecondsAfterFinished must be at least 0'],
    ['no such transport', session({ transport: 'websocket' }), 'spec.transport must be'],
    ['stop as a word', session({ stop: 'yes' }), 'spec.stop must be true or false'],
  ])('%s', (_, value, sentence) => {
    const result = parseSessionSpec(value);
    expect(result.ok ? 'accepted' : result.message).toContain(sentence);
  });

  test('a body counts in characters, as the server counts', () => {
    const body = wide(8192);
    expect(parseSessionSpec(session({ body }))).toEqual({ ok: true, spec: session({ body }) });
  });

  test('nothing is filled in: most of it could not be taken out again', () => {
    expect(parseSessionSpec(session())).toEqual({ ok: true, spec: session() });
  });
});

describe('whatever comes in', () => {
  const keys = fc.constantFrom(
    'image',
    'env',
    'name',
    'value',
    'podTemplate',
    'metadata',
    'labels',
    'scaling',
    'agent',
    'body',
  );
  const near = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 6 },
      fc.jsonValue(),
      fc.dictionary(keys, tie('node')),
      fc.array(tie('node'), { maxLength: 4 }),
    ),
  })).node;
  const input = fc.oneof(
    fc.anything(),
    fc.jsonValue(),
    near,
    near.map((fields) => agent(Object(fields) as object)),
  );

  test.each([
    ['an Agent', parseAgentSpec],
    ['a Session', parseSessionSpec],
  ])('%s is accepted or explained in a bounded sentence, never a crash', (_, parse) => {
    fc.assert(
      fc.property(input, (value) => {
        const result = parse(value);
        if (result.ok) return;
        expect(result.message).toMatch(/^spec/);
        expect(result.message.length).toBeLessThanOrEqual(1024);
      }),
      { numRuns: 2000 },
    );
  });

  test('a spec that was parsed parses to itself, as one does that the server has filled in', () => {
    const valid = fc.record(
      {
        image: fc.constant('a'),
        paused: fc.boolean(),
        whenFull: fc.constantFrom('Reject', 'Queue'),
        scaling: fc.record(
          { minAgents: fc.nat(10), maxAgents: fc.integer({ min: 10, max: 60 }) },
          { requiredKeys: [] },
        ),
        retention: fc.record({ pods: fc.record({ count: fc.nat(1000) }, { requiredKeys: [] }) }, { requiredKeys: [] }),
        podTemplate: fc.record({ spec: fc.dictionary(fc.string(), fc.jsonValue()) }, { requiredKeys: [] }),
      },
      { requiredKeys: ['image'] },
    );
    fc.assert(
      fc.property(valid, (value) => {
        const once = parseAgentSpec(value);
        if (!once.ok) throw new Error(once.message);
        expect(parseAgentSpec(structuredClone(once.spec))).toEqual(once);
      }),
    );
  });
});
