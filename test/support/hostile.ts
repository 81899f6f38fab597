import fc from 'fast-check';

/** What nobody sends who means well, for tests of what is open to everybody. */

/** So deep that whoever recurses runs out of stack. */
const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;

/** Names in a path: some that there are, and others. */
export const names = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('echo', 'nobody', 'a-set', '00000000-0000-4000-8000-000000000000') },
  fc.constantFrom(
    ...[
      '..',
      '.',
      '%2e%2e',
      '../../..',
      'x/y',
      '\\',
      'a b',
      "a';--",
      '\u0000',
      '\r\nx: y',
      '-',
      '*',
      '?',
      '#',
      '%',
      ',',
    ],
    ...['__proto__', 'constructor', 'hasOwnProperty', 'Echo', 'ünï', '\u202e', '🫠', 'a'.repeat(300), 'a-'.repeat(500)],
  ),
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
);

/** Values of a parameter of a query. */
export const queryValues = fc.oneof(
  fc.constantFrom('', '0', '-1', '1', '1e9', '0x10', 'NaN', 'Infinity', '-0', '1.5', ' 1', '9'.repeat(400)),
  fc.constantFrom('true', 'null', 'all', 'active', 'asc', 'desc', 'echo', 'x'.repeat(1000), '\u0000', '%zz', '🫠'),
  fc.string({ maxLength: 20 }),
);

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(-1, 0, 1, 1.5, 1e308, -1e308, 2 ** 53 + 2, '', '\u0000', '\ud800', '../..', '__proto__'),
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    [],
    {},
    [null],
    [[]],
    { a: null },
    'x'.repeat(5000),
    'NaN',
    '🫠',
    '{{x}}',
  ),
  fc.jsonValue(),
);

const likely = (...values: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...values) }, hostileValue);

/** A body with members that some route knows, of which each may be anything. */
const known = fc.record(
  {
    serviceName: likely('echo', 'made', 'a-'.repeat(30)),
    image: likely('registry.example/agent:1', ''),
    buildId: hostileValue,
    region: likely('default', 'other'),
    imagePullSecretSet: likely('a-set', '..'),
    secretSet: likely('a-set', 'A'),
    autoScaling: fc.oneof(fc.record({ minAgents: likely(0, 1, 99), maxAgents: likely(1, 1e6) }), hostileValue),
    agentProfile: likely('agent-1x', 'constructor'),
    resources: fc.oneof(fc.record({ cpu: likely('1', 'x', '-1'), memory: likely('1Gi', '1Zi') }), hostileValue),
    maxSessionDuration: likely(300, 59, 1e9),
    architecture: likely('arm64', 'mips'),
    forceRedeploy: likely(true),
    name: likely('a-name', 'a-set', 'echo'),
    type: likely('public', 'private', 'cli', 'secret', 'imagePullSecret'),
    secretKey: likely('KEY', '..', '__proto__', 'a.b'),
    secretValue: likely('a', 'dXNlcjp0b2tlbg=='),
    secrets: fc.oneof(fc.array(fc.record({ secretKey: likely('A', 'B'), secretValue: likely('a') })), hostileValue),
    isImagePullSecret: likely(true, false),
    host: likely('registry.example', '__proto__', '"'),
    body: hostileValue,
    createDailyRoom: likely(true, false),
    dailyRoomProperties: hostileValue,
    dailyMeetingTokenProperties: hostileValue,
    enableDefaultIceServers: likely(true),
    transport: likely('daily', 'webrtc', 'websocket'),
    defaultRegion: likely('default', 'other'),
  },
  { requiredKeys: [] },
);

/** Bodies of requests, as bytes. */
export const bodies: fc.Arbitrary<string | Buffer> = fc.oneof(
  { weight: 8, arbitrary: known.map((value) => JSON.stringify(value)) },
  { weight: 2, arbitrary: fc.jsonValue().map((value) => JSON.stringify(value)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<(string | Buffer)[]>(
      ...['', ' ', 'null', '1', '"', '{', '[[[[', '{}{}', '{"a":}', "{'a':1}", 'undefined', 'NaN', '\ufeff{}'],
      ...[
        '"\\ud800"',
        '{"body": "\\ud800\\u0000"}',
        '{"body": 1e400}',
        '{"maxSessionDuration": 1e999}',
        '{"body": -0}',
      ],
      '{"__proto__": {"serviceName": "echo", "image": "x"}, "constructor": {"prototype": {"isAdmin": true}}}',
      '{"serviceName": "echo", "serviceName": "other", "image": 1, "image": "registry.example/agent:2"}',
      '{"maxSessionDuration": 9007199254740993, "serviceName": "echo"}',
      ...[deep(50_000), '['.repeat(50_000), `{"body": ${deep(50_000)}}`, `{"resources": ${deep(5_000)}}`],
      ...['{"a":'.repeat(50_000), `{${Array.from({ length: 5_000 }, (_, at) => `"k${at}":0`).join()}}`],
      ...[Buffer.from([0xff, 0xfe, 0x7b, 0x7d]), Buffer.from([0x22, 0xc3, 0x28, 0x22]), Buffer.alloc(1_000)],
    ),
  },
  fc.string(),
);

/** What somebody may say of a request and its body. */
export const headers: fc.Arbitrary<Record<string, string>> = fc.record(
  {
    'content-type': fc.constantFrom('text/plain', 'application/json; charset=utf-16', 'multipart/form-data', '', '🫠'),
    'content-encoding': fc.constantFrom('gzip', 'identity', 'br', ''),
    'accept-encoding': fc.constantFrom('gzip', '*', 'gzip;q=0', 'x'.repeat(1000)),
    accept: fc.constantFrom('text/html', 'nothing', '*/*'),
    'idempotency-key': fc.constantFrom('a', 'a b', '', 'ü', 'x'.repeat(300), '__proto__'),
    'x-request-id': fc.constantFrom('mine', 'a b', 'x'.repeat(500), '{"a":1}'),
    'x-forwarded-for': fc.constantFrom('10.0.0.1', 'nonsense', '::1, ::1, ::1'),
    cookie: fc.constant('a=b'),
    origin: fc.constant('https://page.example'),
    range: fc.constant('bytes=0-1'),
    'if-none-match': fc.constant('*'),
  },
  { requiredKeys: [] },
);
