import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { Stage } from '../support/stage.ts';

/** What the API says of itself holds for requests that nobody would send: no answer is undocumented, and none is a fault of ours. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'contract', { nodes: 2 });
});
afterAll(() => stage?.close());

const RUNS = 40;

interface Operation {
  parameters: { name: string; in: 'path' | 'query' }[];
  requestBody?: object;
  responses: Record<string, unknown>;
}
type Document = { paths: Record<string, Record<string, Operation>> };

/** Names that there are, and others. */
const names = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('echo', 'nobody', '00000000-0000-4000-8000-000000000000') },
  fc.constantFrom(
    '..',
    '.',
    '%2e%2e',
    'Echo',
    'x/y',
    'a b',
    "a';--",
    '\u0000',
    '__proto__',
    'ünï',
    'a'.repeat(300),
    '-',
    '*',
  ),
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
);

const queries = fc.oneof(
  fc.constantFrom('', '0', '-1', '1e9', 'NaN', 'true', 'all', 'desc', '9'.repeat(400)),
  fc.string({ maxLength: 20 }),
);

const known = fc.record(
  {
    serviceName: fc.oneof(fc.constantFrom('echo', 'made'), fc.jsonValue()),
    image: fc.oneof(fc.constant('registry.example/agent:1'), fc.jsonValue()),
    autoScaling: fc.oneof(fc.record({ minAgents: fc.jsonValue(), maxAgents: fc.jsonValue() }), fc.jsonValue()),
    secretSet: fc.jsonValue(),
    maxSessionDuration: fc.oneof(fc.integer(), fc.jsonValue()),
    name: fc.oneof(fc.constant('a-name'), fc.jsonValue()),
    type: fc.oneof(fc.constantFrom('public', 'private', 'secret'), fc.jsonValue()),
    secretKey: fc.oneof(fc.constantFrom('KEY', '..', '__proto__'), fc.jsonValue()),
    secretValue: fc.oneof(fc.string(), fc.jsonValue()),
    secrets: fc.jsonValue(),
    isImagePullSecret: fc.oneof(fc.boolean(), fc.jsonValue()),
    host: fc.jsonValue(),
    body: fc.jsonValue(),
    createDailyRoom: fc.oneof(fc.boolean(), fc.jsonValue()),
    transport: fc.oneof(fc.constantFrom('daily', 'webrtc', 'websocket'), fc.jsonValue()),
    defaultRegion: fc.oneof(fc.constantFrom('default', 'other'), fc.jsonValue()),
  },
  { requiredKeys: [] },
);

const bodies = fc.oneof(
  { weight: 5, arbitrary: known.map((value) => JSON.stringify(value)) },
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '',
    'null',
    '{',
    '[[[[',
    '"\\ud800"',
    '{"__proto__": {"a": 1}}',
    '['.repeat(50_000),
    '{"body": 1e400}',
  ),
  fc.string(),
);

test('no request has an answer that is not documented', { timeout: 600_000 }, async () => {
  const scene = await stage.scene('all');
  const { namespace } = scene;
  const [gateway] = await Promise.all([
    scene.gateway({
      config: { rates: { caller: { perSecond: 1e6, burst: 1e6 }, address: { perSecond: 1e6, burst: 1e6 } } },
    }),
    scene.leader(),
  ]);
  await scene.httpAgent('echo', 3);
  const [own, start] = await Promise.all([scene.key('Private'), scene.key('Public')]);
  await waitFor(async () => (await gateway.call('GET', '/v1/agents', { key: own })).status === 200, {
    what: 'the gateway to know its keys',
    timeoutMs: 30_000,
  });
  const { paths } = (await gateway.call('GET', '/openapi.json')).body as unknown as Document;
  const keys = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(own, start) },
    fc.constantFrom('', 'sk_wrong', 'x'.repeat(5_000)),
  );
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const parameters = fc.record(
        Object.fromEntries(
          operation.parameters.map(({ name, in: where }) => [name, where === 'path' ? names : queries]),
        ),
      );
      const right = path.startsWith('/v1/public') ? start : own;
      await fc.assert(
        fc.asyncProperty(parameters, bodies, keys, fc.boolean(), async (values, body, key, isRight) => {
          const inPath = path.replace(/\{(\w+)\}/g, (_, name: string) =>
            encodeURIComponent(name === 'org' && isRight ? namespace : (values[name] ?? '')),
          );
          const query = new URLSearchParams(
            operation.parameters
              .filter(({ in: where }) => where === 'query')
              .map(({ name }): [string, string] => [name, values[name] ?? '']),
          );
          const sent = ['post', 'put', 'patch'].includes(method) ? { body } : {};
          const what = `${method} ${inPath}?${query.toString()} ${'body' in sent ? body.slice(0, 300) : ''}`;
          const {
            status,
            body: reply,
            headers,
          } = await gateway.call(method.toUpperCase(), `${inPath}?${query.toString()}`, {
            key: isRight ? right : key,
            ...sent,
          });
          // With dots for a name it is the request of another path, before it leaves.
          expect([...Object.keys(operation.responses).map(Number), 405], what).toContain(status);
          expect(status < 500 || status === 501, `${what}: ${status} ${JSON.stringify(reply)}`).toBe(true);
          expect(headers.get('content-type'), what).toContain('application/json');
          if (status >= 400)
            expect(reply, what).toMatchObject({
              error: expect.any(String) as string,
              code: expect.any(String) as string,
            });
        }),
        { numRuns: RUNS },
      );
    }
  }
});
