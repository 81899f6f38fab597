import type { AgentSpecInput } from '../../src/api/agent.ts';
import type { SessionSpec } from '../../src/api/session.ts';

/** A spec that the server must take. */
export type Good = [behaviour: string, spec: object];
/** A spec that the server must refuse, and a part of the sentence that it must say. */
export type Bad = [behaviour: string, spec: object, sentence: string];

const agent = (fields: Partial<AgentSpecInput> = {}): AgentSpecInput => ({ image: 'busybox:1.36', ...fields });
const wrongAgent = (fields: object): object => ({ ...agent(), ...fields });
const session = (fields: Partial<SessionSpec> = {}): SessionSpec => ({ agent: 'counter', ...fields });
const wrongSession = (fields: object): object => ({ ...session(), ...fields });
const labelled = (labels: Record<string, string>) => agent({ podTemplate: { metadata: { labels } } });
const variable = (fields: object): object => wrongAgent({ env: [{ name: 'A', ...fields }] });

/** What looks like a sealed body, of so many characters. */
const sealed = (characters = 100): string => `a..${'b'.repeat(16)}.${'c'.repeat(characters - 43)}.${'d'.repeat(22)}`;

/** Characters that JavaScript counts twice and Kubernetes once. */
const wide = (characters: number) => '𝄞'.repeat(characters);

const aTime = 'spec.startBefore: Invalid value: "string": must be a time such as 2030-01-31T12:00:00Z';

export const goodAgents: Good[] = [
  ['an image is enough', agent()],
  [
    'some fields of a group; the others get their defaults',
    agent({ scaling: { minAgents: 3 }, retention: { pods: { count: 0 } } }),
  ],
  [
    'the longest and the shortest times',
    agent({ maxSessionDuration: 14_400, startTimeoutSeconds: 1, nodeLostAfterSeconds: 0 }),
  ],
  ['an Agent that may run nothing', agent({ scaling: { maxAgents: 0 } })],
  [
    'every source of environment variables',
    agent({
      env: [
        { name: 'PLAIN', value: 'a $(OTHER) b' },
        { name: 'EMPTY' },
        { name: '.odd-name', valueFrom: { secretKeyRef: { name: 'a.b', key: 'c_d.E', optional: true } } },
        { name: 'MAP', valueFrom: { configMapKeyRef: { name: 'a', key: 'b' } } },
        { name: 'FIELD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
        {
          name: 'MEMORY',
          valueFrom: { resourceFieldRef: { containerName: 'agent', resource: 'limits.memory', divisor: 1 } },
        },
      ],
      envFrom: [{ secretRef: { name: 'a' } }, { prefix: 'P_', configMapRef: { name: 'b', optional: true } }],
    }),
  ],
  [
    'whatever a pod spec may say',
    agent({
      podTemplate: {
        metadata: { labels: { team: 'a', 'example.com/team': '' }, annotations: { 'example.com/note': wide(9) } },
        spec: {
          nodeSelector: { disk: 'ssd' },
          tolerations: [{ operator: 'Exists' }],
          containers: [{ name: 'agent', resources: { limits: { cpu: 1, memory: '1Gi' } } }],
        },
      },
    }),
  ],
];

export const badAgents: Bad[] = [
  ['no image', {}, 'spec.image: Required value'],
  ['an image with a space', agent({ image: 'a b' }), 'must be a container image such as'],
  ['a duration that is too short', agent({ maxSessionDuration: 30 }), 'should be greater than or equal to 60'],
  ['a duration that is too long', agent({ maxSessionDuration: 20_000 }), 'should be less than or equal to 14400'],
  ['half a second', agent({ maxSessionDuration: 60.5 }), 'must be of type integer'],
  ['a number as text', wrongAgent({ port: '80' }), 'must be of type integer'],
  ['an unknown protocol', wrongAgent({ protocol: 'Grpc' }), 'supported values: "Process", "Http"'],
  ['an unknown profile', wrongAgent({ profile: 'huge' }), 'supported values: "agent-1x", "agent-2x", "agent-3x"'],
  [
    'more warm pods than pods',
    agent({ scaling: { minAgents: 5, maxAgents: 3 } }),
    'minAgents must not be above maxAgents',
  ],
  ['more warm pods than the default', agent({ scaling: { minAgents: 51 } }), 'minAgents must not be above maxAgents'],
  [
    'warm pods of a Process agent',
    agent({ protocol: 'Process', scaling: { minAgents: 1 } }),
    'spec.scaling: Invalid value: "object": scaling.minAgents and scaling.buffer must be 0 with protocol Process',
  ],
  ['a name of a variable that is none', agent({ env: [{ name: '1' }] }), 'must be the name of an environment variable'],
  ['a variable twice', agent({ env: [{ name: 'A' }, { name: 'A' }] }), 'Duplicate value'],
  [
    'a variable with a value and a source',
    variable({ value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }),
    'may have value or valueFrom, not both',
  ],
  ['a variable with an empty source', variable({ valueFrom: {} }), 'valueFrom must have exactly one of secretKeyRef'],
  [
    'a key that no Secret can have',
    variable({ valueFrom: { secretKeyRef: { name: 'a', key: 'b/c' } } }),
    'must be a key of a Secret or ConfigMap',
  ],
  ['an empty envFrom', agent({ envFrom: [{}] }), 'must have exactly one of configMapRef and secretRef'],
  ['a Secret that cannot exist', agent({ secretSet: 'A' }), 'must be the name of an object'],
  ['too many arguments', agent({ args: Array<string>(257).fill('') }), 'must have at most 256 items'],
  ['a label of ours', labelled({ 'bullpen.dev/state': 'warm' }), 'choose another prefix'],
  ['a label key that is none', labelled({ 'a b': 'x' }), 'keys of labels must be names such as'],
  ['a label value that is none', labelled({ team: 'a b' }), 'must be the value of a label'],
  ['a pod spec that is no object', wrongAgent({ podTemplate: { spec: 'x' } }), 'must be of type object'],
];

export const goodSessions: Good[] = [
  ['an agent is enough', session()],
  ['the longest body, whatever its characters', session({ body: wide(8192) })],
  ['an empty body', session({ body: '' })],
  ['a body from a Secret', session({ bodyFrom: { secretKeyRef: { name: 'a', key: 'b' } } })],
  ['a sealed body', session({ sealedBody: sealed() })],
  ['the longest sealed body', session({ sealedBody: sealed(20_000) })],
  ['a WebSocket', session({ transport: 'WebSocket' })],
  ['one second', session({ maxSessionDuration: 1, ttlSecondsAfterFinished: 0, stop: false })],
  ['a leap day', session({ startBefore: '2032-02-29T00:00:00Z' })],
  ['a time in any zone, with fractions', session({ startBefore: '2030-02-28T23:59:59.123456+01:00' })],
];

export const badSessions: Bad[] = [
  ['no agent', {}, 'spec.agent: Required value'],
  ['an agent that cannot exist', session({ agent: 'A' }), 'must be the name of an Agent'],
  ['an agent with too long a name', session({ agent: 'a'.repeat(64) }), 'may not be more than 63'],
  ['a body that is too long', session({ body: 'x'.repeat(8193) }), 'may not be more than 8192'],
  [
    'two bodies',
    session({ body: '', bodyFrom: { secretKeyRef: { name: 'a', key: 'b' } } }),
    'one of body, bodyFrom and sealedBody',
  ],
  ['a body twice, once sealed', session({ body: '', sealedBody: sealed() }), 'one of body, bodyFrom and sealedBody'],
  ['a sealed body that is none', session({ sealedBody: '{"text": "hello"}' }), 'must be a JWE in compact form'],
  ['a sealed body that is a token', session({ sealedBody: 'a.b.c' }), 'must be a JWE in compact form'],
  ['a sealed body that is too long', session({ sealedBody: sealed(20_001) }), 'may not be more than 20000'],
  ['a body from nowhere', wrongSession({ bodyFrom: {} }), 'spec.bodyFrom.secretKeyRef: Required value'],
  ['a time that is none', session({ startBefore: 'tomorrow' }), aTime],
  ['the 30th of February', session({ startBefore: '2030-02-30T12:00:00Z' }), aTime],
  ['a time in lower case', session({ startBefore: '2030-01-30t12:00:00z' }), aTime],
  ['a list of times', wrongSession({ startBefore: [] }), 'must be of type string'],
  ['a transport that there is not', wrongSession({ transport: 'websocket' }), 'supported values: "WebSocket"'],
  ['no time to run', session({ maxSessionDuration: 0 }), 'should be greater than or equal to 1'],
  ['a negative TTL', session({ ttlSecondsAfterFinished: -1 }), 'should be greater than or equal to 0'],
  ['stop as a word', wrongSession({ stop: 'yes' }), 'must be of type boolean'],
];

/** A change of a Session (a merge patch of its spec) and what the server must say to it. */
export const refusedChanges: [behaviour: string, from: SessionSpec, patch: object, sentence: string][] = [
  [
    'another agent',
    session(),
    { agent: 'other' },
    'agent cannot be changed, because a session runs once: make a new Session',
  ],
  ['another body', session({ body: 'a' }), { body: 'b' }, 'body cannot be changed'],
  ['a body that was not there', session(), { body: 'b' }, 'body cannot be changed'],
  [
    'another sealed body',
    session({ sealedBody: sealed() }),
    { sealedBody: sealed(99) },
    'sealedBody cannot be changed',
  ],
  ['no body any more', session({ body: 'a' }), { body: null }, 'body cannot be changed'],
  [
    'another key of the Secret',
    session({ bodyFrom: { secretKeyRef: { name: 'a', key: 'b' } } }),
    { bodyFrom: { secretKeyRef: { key: 'c' } } },
    'bodyFrom cannot be changed',
  ],
  ['another transport', session(), { transport: 'WebSocket' }, 'transport cannot be changed'],
  ['no transport any more', session({ transport: 'WebSocket' }), { transport: null }, 'transport cannot be changed'],
  ['a limit', session(), { maxSessionDuration: 9 }, 'maxSessionDuration cannot be changed'],
  ['a start time', session(), { startBefore: '2030-01-01T00:00:00Z' }, 'startBefore cannot be changed'],
  ['stop taken back', session({ stop: true }), { stop: false }, 'stop cannot be taken back: once true it stays true'],
  ['stop taken out', session({ stop: true }), { stop: null }, 'stop cannot be taken back: once true it stays true'],
];

export const allowedChanges: [behaviour: string, from: SessionSpec, patch: object][] = [
  ['stop', session(), { stop: true }],
  ['stop after an explicit no', session({ stop: false }), { stop: true }],
  ['a TTL', session({ body: 'a' }), { ttlSecondsAfterFinished: 5 }],
  ['no TTL any more', session({ ttlSecondsAfterFinished: 5 }), { ttlSecondsAfterFinished: null }],
  ['the TTL of one that is stopped', session({ stop: true }), { ttlSecondsAfterFinished: 0 }],
];
