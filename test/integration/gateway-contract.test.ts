import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { apiRoutes, fill, type ApiRoute } from '../support/api-routes.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import * as hostile from '../support/hostile.ts';
import { Stage, type Scene } from '../support/stage.ts';
import { wire, type WireAnswer, type WireRequest } from '../support/wire.ts';

/**
 * What the API says of itself holds for requests that nobody would send: every answer has a status, a code and a form that its route
 * documents, and none is a fault of ours. The gateway also holds its replies against their schemas, and answers 500 where one does not fit.
 */
let stage: Stage;
let scene: Scene;
let gateway: GatewayProcess;
let routes: ApiRoute[];
let own: string;
let start: string;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'contract', { nodes: 2 });
  scene = await stage.scene('all');
  const plenty = { perSecond: 1e6, burst: 1e6 };
  [gateway] = await Promise.all([
    scene.gateway({ config: { rates: { caller: plenty, address: plenty } } }),
    scene.leader(),
  ]);
  await scene.httpAgent('echo', 3);
  [own, start] = await Promise.all([scene.key('Private'), scene.key('Public')]);
  await gateway.answers('GET', '/v1/agents', { key: own }, { status: 200 });
  await gateway.answers('POST', '/v1/public/none/start', { key: start }, { status: 404 });
  // Its own keys, of which the controller is to have made the first.
  const once = { key: start, headers: { 'idempotency-key': 'first' } };
  await gateway.answers('POST', '/v1/public/echo/start', once, { status: 200 });
  routes = await apiRoutes(gateway);
});
afterAll(() => stage?.close());

/** Requests to each route. */
const RUNS = 100;

const rightKey = ({ plane }: ApiRoute): string => (plane === 'public' ? start : own);

/** One that opens the route, or names another organization, or is none. */
const keys = fc.constantFrom('right', 'right', 'right', 'right', 'other type', '', 'sk_wrong', 'x'.repeat(2_000));

function keyFor(route: ApiRoute, which: string): string {
  if (which === 'right') return rightKey(route);
  return which === 'other type' ? (route.plane === 'public' ? own : start) : which;
}

/** What is the same in all answers. */
function expectForm({ status, headers, text, reads }: WireAnswer, what: string): unknown {
  expect(headers, what).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': expect.stringContaining("default-src 'none'") as string,
    'x-request-id': expect.stringMatching(/^[\w.-]{1,128}$/) as string,
  });
  for (const none of ['transfer-encoding', 'x-powered-by', 'server', 'etag', 'set-cookie'])
    expect(headers, what).not.toHaveProperty(none);
  const all = Buffer.concat(reads);
  expect(Number(headers['content-length']), what).toBe(all.length - all.indexOf('\r\n\r\n') - 4);
  const said: unknown = JSON.parse(text);
  if (status >= 400)
    expect(said, what).toMatchObject({
      error: expect.stringMatching(/./) as string,
      code: expect.stringMatching(/^(\d{3}|[A-Z][A-Z0-9_-]+)$/) as string,
    });
  // Whatever went wrong, where in our code it did is nobody's business.
  expect(text, what).not.toMatch(/node_modules|\.ts:|\.js:|at \w+ \(|ECONN/);
  return said;
}

interface Documented {
  description: string;
  content: { 'application/json': { schema: Schema } };
}

interface Schema {
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | object;
  items?: Schema;
}

/** A status, a code and members that the route says it may answer with; and never a fault of ours. */
function expectDocumented({ operation, path }: ApiRoute, answer: WireAnswer, what: string): void {
  const said = expectForm(answer, what);
  const whole = `${what}: ${answer.status} ${answer.text.slice(0, 500)}`;
  const documented = operation.responses[String(answer.status)] as Documented | undefined;
  expect(documented, whole).toBeDefined();
  // Nodes that are played have no logs, and where a node does not answer 503 is right.
  const hasNoNode = answer.status === 503 && path.endsWith('/logs');
  expect(answer.status < 500 || answer.status === 501 || hasNoNode, whole).toBe(true);
  if (answer.status < 400)
    expect(undocumented(documented?.content['application/json'].schema ?? {}, said), whole).toEqual([]);
  else expect(documented?.description, whole).toContain(`\`${(said as { code: string }).code}\``);
}

/** Members of a value that its schema does not name. */
function undocumented({ properties, additionalProperties, items }: Schema, value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return items ? value.flatMap((each) => undocumented(items, each, `${at}[]`)) : [];
  if (value === null || typeof value !== 'object' || properties === undefined) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const schema = properties[name];
    if (schema !== undefined) return undocumented(schema, member, `${at}.${name}`);
    return additionalProperties === false ? [`${at}.${name}`] : [];
  });
}

/** The values of a route's names in its path. */
function valuesOf({ operation }: ApiRoute): fc.Arbitrary<Record<string, string>> {
  const inPath = operation.parameters.filter(({ in: where }) => where === 'path');
  return fc.record(Object.fromEntries(inPath.map(({ name }) => [name, hostile.names])));
}

/** A query: what the route knows, some of it twice, and what nobody knows. */
function queryOf({ operation }: ApiRoute): fc.Arbitrary<string> {
  const known = operation.parameters.filter(({ in: where }) => where === 'query').map(({ name }) => name);
  const name = fc.constantFrom(...known, 'region', 'include', '__proto__', 'a[b]', 'constructor', '');
  return fc
    .array(fc.tuple(name, hostile.queryValues), { maxLength: 6 })
    .map((pairs) => pairs.map((pair) => pair.map((text) => encodeURIComponent(text)).join('=')).join('&'));
}

function pathOf({ path }: ApiRoute, values: Record<string, string>, isOurs: boolean): string {
  return fill(path, isOurs ? { ...values, org: scene.namespace } : values);
}

function isAt({ path }: ApiRoute, asked: string): boolean {
  return new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`).test(asked);
}

const ask = (method: string, path: string, request: WireRequest): Promise<WireAnswer> =>
  wire(gateway.origin, method, path, request);

describe('no request has an answer that is not documented', () => {
  test('whatever is in its path, its query, its headers and its body', { timeout: 600_000 }, async () => {
    const seen = new Set<number>();
    for (const route of routes) {
      const takesBody = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(route.method);
      await fc.assert(
        fc.asyncProperty(
          valuesOf(route),
          queryOf(route),
          hostile.headers,
          hostile.bodies,
          keys,
          // Mostly one's own: another's is refused before anything else is looked at.
          fc.constantFrom(true, true, true, true, false),
          async (values, query, headers, body, which, isOurs) => {
            const path = `${pathOf(route, values, isOurs)}${query === '' ? '' : `?${query}`}`;
            const request = { key: keyFor(route, which), headers, body: takesBody ? body : undefined };
            const what = `${route.method} ${path.slice(0, 500)} ${JSON.stringify(headers)} ${body.toString().slice(0, 300)}`;
            const answer = await ask(route.method, path, request);
            seen.add(answer.status);
            expectDocumented(route, answer, what);
          },
        ),
        { numRuns: RUNS },
      );
    }
    // It was not all refused at the door.
    expect([...seen]).toEqual(expect.arrayContaining([200, 400, 401, 404, 415]));
  });

  test('however large it is', { timeout: 300_000 }, async () => {
    const valid = { serviceName: 'large', image: 'registry.example/agent:1', name: 'large-set', secretKey: 'A' };
    const long = (length: number): string => 'x'.repeat(length);
    const large: Record<string, string> = {
      'a value': JSON.stringify({ ...valid, secretValue: long(1_200_000) }),
      'a value of multiples of four': JSON.stringify({
        isImagePullSecret: true,
        host: 'h',
        secretValue: long(1_400_000),
      }),
      'many values': JSON.stringify({
        secrets: Array.from({ length: 200 }, (_, at) => ({ secretKey: `${long(60)}${at}`, secretValue: long(7_000) })),
      }),
      'too many values': JSON.stringify({ secrets: Array.from({ length: 700_000 }, () => 0) }),
      names: JSON.stringify({ ...valid, serviceName: long(200_000), name: long(50_000) }),
      members: `{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":0`).join()}}`,
      'a body for the agent': JSON.stringify({ body: long(1_010_000) }),
      spaces: ' '.repeat(3_000_000),
    };
    const values = { org: scene.namespace, agentName: 'echo', set: 'large-set', key: 'A', id: 'none' };
    for (const route of routes.filter(({ operation }) => operation.requestBody !== undefined)) {
      for (const [what, body] of Object.entries(large)) {
        const answer = await ask(route.method, fill(route.path, values), { key: rightKey(route), body });
        expectDocumented(route, answer, `${route.method} ${route.path} with ${what}`);
        expect(answer.text.length, `${route.path} with ${what}`).toBeLessThan(20_000);
      }
    }
  });

  test('when its method is another one', async () => {
    const values = { org: scene.namespace, agentName: 'echo', sessionId: 'none', set: 'a-set', key: 'A', id: 'none' };
    for (const path of new Set(routes.map((route) => fill(route.path, values)))) {
      // The name of a set may be a word that is a path of its own.
      const known = routes.filter((route) => isAt(route, path)).map(({ method }) => method);
      const head = known.includes('GET') ? ['HEAD'] : [];
      const preflight = path.startsWith('/v1/public/') ? ['OPTIONS'] : [];
      const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
      for (const method of all.filter((each) => ![...known, ...head, ...preflight].includes(each))) {
        const answer = await ask(method, path, { key: own, body: '{}' });
        const what = `${method} ${path}`;
        expect(answer.status, what).toBe(405);
        expect(known, what).toEqual(expect.arrayContaining(answer.headers['allow']?.split(', ') ?? ['nothing']));
        if (method !== 'HEAD') expectForm(answer, what);
      }
    }
  });
});
