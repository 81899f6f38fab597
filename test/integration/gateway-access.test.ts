import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agents, apiKeys, sessions } from '../../src/api/resources.ts';
import { hashOf, apiKeyOf } from '../../src/keys/api-key.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { configMaps, secrets, type Resource } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { apiRoutes, fill, type ApiRoute } from '../support/api-routes.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { Stage, type Scene } from '../support/stage.ts';
import { wire } from '../support/wire.ts';

/**
 * Who may do what, by every route that the API says it has: a route that is new is in these tests. There is an organization that is
 * attacked (theirs), and one whose keys are good, but not for that (mine). No controller runs: nothing changes by itself.
 */
const AGENT = 'canary';
const SESSION = randomUUID();
const IMAGE = 'registry.example/theirs-alone:1';
const FIELD = 'CANARY_FIELD';
const VALUE = 'a-value-that-is-told-to-nobody';

let stage: Stage;
let theirs: Scene;
let mine: Scene;
let gateway: GatewayProcess;
let routes: ApiRoute[];
let keysOf: { theirs: Keys; mine: Keys };
let revoked: string;
/** What only they have. */
let traces: string[];
let names: Record<string, string>;

type Keys = Record<'Public' | 'Private' | 'Cli', string>;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'access', { nodes: 1 });
  [theirs, mine] = await Promise.all([stage.scene('theirs'), stage.scene('mine')]);
  const plenty = { perSecond: 1e6, burst: 1e6 };
  gateway = await mine.gateway({
    watchNamespaces: [theirs.namespace, mine.namespace],
    config: { rates: { caller: plenty, address: plenty } },
  });
  keysOf = { theirs: await keys(theirs), mine: await keys(mine) };
  revoked = await theirs.key('Private');
  await fillNamespace(theirs, keysOf.theirs);
  await revoke(theirs, revoked);
  routes = await apiRoutes(gateway);
  const { namespace } = theirs;
  const id = nameOfKey(keysOf.theirs.Public, 'Public');
  names = { org: namespace, agentName: AGENT, sessionId: SESSION, set: 'canary-set', key: FIELD, id };
  const [agent, session] = await Promise.all([
    theirs.kube.api.get(agents, { namespace, name: AGENT }),
    theirs.kube.session(SESSION),
  ]);
  const uids = [agent.metadata.uid, session.metadata.uid];
  traces = [IMAGE, FIELD, VALUE, SESSION, id, ...uids, ...Object.values(keysOf.theirs), revoked];
});
afterAll(() => stage?.close());

async function keys(scene: Scene): Promise<Keys> {
  const [Public, Private, Cli] = await Promise.all([scene.key('Public'), scene.key('Private'), scene.key('Cli')]);
  for (const key of [Private, Cli]) await gateway.answers('GET', '/v1/users', { key }, { status: 200 });
  await gateway.answers('POST', '/v1/public/none/start', { key: Public }, { status: 404 });
  return { Public, Private, Cli };
}

function nameOfKey(key: string, type: keyof Keys): string {
  return apiKeyOf(key, type, '').metadata.name ?? '';
}

/** One of everything that there may be in an organization. */
async function fillNamespace({ kube, namespace }: Scene, { Private: key }: Keys): Promise<void> {
  await kube.createAgent(AGENT, '', { image: IMAGE });
  await kube.createSession(SESSION, { agent: AGENT });
  const body = { secretKey: FIELD, secretValue: VALUE };
  const made = await gateway.call('PUT', `/v1/organizations/${namespace}/secrets/canary-set`, { key, body });
  expect(made.status).toBe(202);
}

async function revoke({ kube, namespace }: Scene, key: string): Promise<void> {
  const ref = { namespace, name: nameOfKey(key, 'Private') };
  await kube.api.patch(apiKeys, ref, { type: 'merge', body: { spec: { revoked: true } } });
  await gateway.answers('GET', '/v1/agents', { key }, { status: 401 });
}

/** All that somebody could have changed there. */
async function stateOf({ kube, namespace }: Scene): Promise<string[]> {
  const kinds = [agents, sessions, apiKeys, secrets, configMaps] as unknown as Resource[];
  const lists = await Promise.all(kinds.map((kind) => kube.api.list(kind, { namespace })));
  // Kubernetes' own, and it comes when it comes.
  const isOurs = ({ metadata }: KubeObject): boolean => metadata.name !== 'kube-root-ca.crt';
  return lists.flatMap(({ items }) =>
    items.filter(isOurs).map((object) => {
      const { metadata, status: _status, ...rest } = object as KubeObject & { status?: unknown };
      // Not the version: when a key was last used is noted from time to time.
      const { name, uid, labels, annotations, deletionTimestamp } = metadata;
      return JSON.stringify({ name, uid, labels, annotations, deletionTimestamp, ...rest });
    }),
  );
}

/** A body that every route would take which takes one. */
const body = {
  serviceName: AGENT,
  image: 'registry.example/not-theirs:1',
  name: 'canary-set',
  secretKey: FIELD,
  secretValue: 'overwritten',
  defaultRegion: 'default',
};

async function ask({ method, path }: ApiRoute, key: string | undefined) {
  const sent = ['POST', 'PUT', 'PATCH'].includes(method) ? { body } : {};
  return await gateway.call(method, fill(path, names), { ...(key !== undefined && { key }), ...sent });
}

/** What came back holds nothing of theirs, whatever its status. */
function expectNoTrace(answer: { body: unknown }, what: string): void {
  const text = JSON.stringify(answer.body);
  for (const trace of traces) expect(text, what).not.toContain(trace);
}

test('every route asks for a key, and those for an organization say which right of Kubernetes they ask for', () => {
  expect(routes.length).toBeGreaterThan(30);
  expect(routes.filter(({ plane }) => plane === 'open').map(({ path }) => path)).toEqual([]);
  for (const { method, path, plane, right } of routes) {
    expect(path.startsWith('/v1/organizations/'), path).toBe(plane === 'organization');
    expect(right !== undefined, `${method} ${path}`).toBe(plane === 'organization');
  }
});

describe('what is no key opens nothing', () => {
  const flip = (text: string): string => `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`;
  /** For a route of theirs, whose good key would be one of `good`. */
  const wrong: [string, (good: Keys) => string | undefined][] = [
    ['none', () => undefined],
    ['nothing', () => ''],
    ['garbage', () => 'x'],
    ['garbage that is long', () => 'x'.repeat(8_000)],
    ['a key that is revoked', () => revoked],
    ['a key of which the last letter is another', ({ Private }) => flip(Private)],
    ['the beginning of a key', ({ Private }) => Private.slice(0, -1)],
    ['a key and more', ({ Private }) => `${Private}A`],
    ['a key in capitals', ({ Cli }) => Cli.toUpperCase()],
    ['the hash of a key', ({ Private }) => hashOf(Private)],
    ['the name of a key', ({ Private }) => nameOfKey(Private, 'Private')],
    ['a token that Kubernetes has not signed', () => 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.'],
  ];

  test.each(wrong)('%s', async (_, credential) => {
    const before = await stateOf(theirs);
    for (const route of routes) {
      const what = `${route.method} ${route.path}`;
      const answer = await ask(route, credential(keysOf.theirs));
      expect(answer.status, what).toBe(401);
      expect(answer.body, what).toEqual({ error: expect.any(String) as string, code: '401' });
    }
    expect(await stateOf(theirs)).toEqual(before);
  });

  test('a key of theirs of the wrong type', async () => {
    const before = await stateOf(theirs);
    for (const route of routes) {
      const types = route.plane === 'public' ? (['Private', 'Cli'] as const) : (['Public'] as const);
      for (const type of types) {
        const answer = await ask(route, keysOf.theirs[type]);
        expect(answer.status, `${route.method} ${route.path} with a ${type} key`).toBe(401);
        expectNoTrace(answer, `${route.method} ${route.path}`);
      }
    }
    expect(await stateOf(theirs)).toEqual(before);
  });
});

describe('a good key of another organization', () => {
  test('is refused by every route that names theirs', async () => {
    const before = await stateOf(theirs);
    for (const route of routes.filter(({ plane }) => plane === 'organization')) {
      for (const key of Object.values(keysOf.mine)) {
        const answer = await ask(route, key);
        expect(answer.status, `${route.method} ${route.path}`).toBe(401);
        expectNoTrace(answer, `${route.method} ${route.path}`);
      }
    }
    expect(await stateOf(theirs)).toEqual(before);
  });

  test('finds nothing of theirs by its own routes, and changes nothing of theirs by what it makes', async () => {
    const before = await stateOf(theirs);
    const own = routes.filter(({ plane }) => plane !== 'organization');
    // What makes something of that name in the caller's own organization comes last: it is found from then on.
    const makes = ({ method, path }: ApiRoute): boolean =>
      method === 'PUT' || (method === 'POST' && !path.includes('{'));
    for (const route of [...own.filter((each) => !makes(each)), ...own.filter(makes)]) {
      const types = route.plane === 'public' ? (['Public'] as const) : (['Private', 'Cli'] as const);
      for (const type of types) {
        const what = `${route.method} ${route.path} with a ${type} key`;
        const answer = await ask(route, keysOf.mine[type]);
        if (route.path.includes('{') && !makes(route)) expect(answer.status, what).toBe(404);
        expect(answer.status, what).toBeLessThan(500);
        expectNoTrace(answer, what);
      }
    }
    expect(await stateOf(theirs)).toEqual(before);
    // The name was there: it was theirs that was not found.
    const found = await gateway.call('GET', `/v1/agents/${AGENT}`, { key: keysOf.theirs.Private });
    expect(found.body).toMatchObject({ name: AGENT, organizationId: theirs.namespace });
  });

  test('stays so however the path or the headers are dressed up', async () => {
    const [a, b] = [mine.namespace, theirs.namespace];
    const paths = [
      `//v1//organizations//${b}//services`,
      `/v1/organizations/${a}/../${b}/services`,
      `/v1/organizations/${a}/%2e%2e/${b}/services`,
      `/v1/organizations/${a}%2f..%2f${b}/services`,
      `/v1/organizations/..%2f${b}/services`,
      `/v1/organizations/${b}%00/services`,
      `/v1/organizations/${b}%20/services`,
      `/v1/organizations/${b};${a}/services`,
      `/v1/organizations/${b}/services/`,
      `/v1/organizations/${b}/services?org=${a}&organization=${a}`,
      `/v1/organizations/${b}/services#/../${a}`,
      `/V1/ORGANIZATIONS/${b}/services`,
      `http://gateway/v1/organizations/${b}/services`,
      `/v1/agents/..%2f${b}%2f${AGENT}`,
      `/v1/agents/${AGENT}/sessions/${SESSION}%2f..%2f${SESSION}`,
    ];
    const headers: Record<string, string>[] = [
      {},
      { 'x-original-url': `/v1/organizations/${b}/services`, 'x-rewrite-url': `/v1/organizations/${b}/services` },
      { 'x-http-method-override': 'GET' },
      { 'x-remote-user': 'system:admin', 'x-remote-group': 'system:masters', 'impersonate-user': 'system:admin' },
      { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': b, forwarded: `host=${b}` },
      { Authorization: `Bearer ${keysOf.mine.Cli}` },
    ];
    for (const path of paths) {
      for (const more of headers) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await wire(gateway.origin, method, path, { key: keysOf.mine.Private, headers: more });
          expect([400, 401, 404], `${method} ${path} ${JSON.stringify(more)}`).toContain(answer.status);
          expectNoTrace({ body: answer.text }, path);
        }
      }
    }
  });
});

describe('a token of Kubernetes', () => {
  /** A token for each right that some route asks for, which gives just that right in their namespace. */
  const tokens = new Map<string, string>();
  let stranger: string;
  let admin: string;
  const wordOf = ({ verb, resource }: { verb: string; resource: string }): string => `${verb}-${resource}`;

  beforeAll(async () => {
    const { namespace } = theirs;
    const asked = new Map(routes.flatMap(({ right }) => (right ? [[wordOf(right), right] as const] : [])));
    const accounts = ['stranger', 'everything', ...asked.keys()];
    const inNamespace = (kind: string, name: string) => ({ apiVersion: 'v1', kind, metadata: metadataOf(name) });
    const metadataOf = (name: string) => ({ name, namespace });
    const rbac = 'rbac.authorization.k8s.io';
    const subjectOf = (name: string) => [{ kind: 'ServiceAccount', ...metadataOf(name) }];
    const cluster = { apiGroup: rbac, kind: 'ClusterRole', name: 'cluster-admin' };
    const objects = [
      ...accounts.map((name) => inNamespace('ServiceAccount', name)),
      ...[...asked].flatMap(([name, { verb, resource }]) => [
        {
          ...inNamespace('Role', name),
          apiVersion: `${rbac}/v1`,
          rules: [{ apiGroups: [resource === 'secrets' ? '' : 'bullpen.dev'], resources: [resource], verbs: [verb] }],
        },
        {
          ...inNamespace('RoleBinding', name),
          apiVersion: `${rbac}/v1`,
          roleRef: { apiGroup: rbac, kind: 'Role', name },
          subjects: subjectOf(name),
        },
      ]),
      {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: { name: `${namespace}-everything` },
        roleRef: cluster,
        subjects: subjectOf('everything'),
      },
    ];
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await stage.cluster.kubectl(['apply', '--server-side', '-f', '-'], { input });
    for (const name of accounts) {
      const { stdout } = await stage.cluster.kubectl(['create', 'token', name, '--namespace', namespace]);
      tokens.set(name, stdout.trim());
    }
    const take = (name: string): string => {
      const token = tokens.get(name) ?? '';
      tokens.delete(name);
      return token;
    };
    [stranger, admin] = [take('stranger'), take('everything')];
    const path = `/v1/organizations/${namespace}/services`;
    const knows = async (): Promise<boolean> => (await gateway.call('GET', path, { key: admin })).status === 200;
    await waitFor(knows, { what: 'the rights to count', timeoutMs: 60_000, intervalMs: 500 });
  });
  afterAll(() =>
    stage.cluster.kubectl(['delete', 'clusterrolebinding', '--ignore-not-found', `${theirs.namespace}-everything`]),
  );

  test('without a right in a namespace does nothing there, and is told nothing', async () => {
    const before = await stateOf(theirs);
    for (const route of routes) {
      const what = `${route.method} ${route.path}`;
      const answer = await ask(route, stranger);
      const wanted = { organization: 403, user: 200, public: 401, private: 401, open: 200 }[route.plane];
      expect(answer.status, what).toBe(wanted);
      expectNoTrace(answer, what);
    }
    const listed = await gateway.call('GET', '/v1/organizations', { key: stranger });
    expect(listed.body).toEqual({ organizations: [] });
    expect(await stateOf(theirs)).toEqual(before);
  });

  test('does what its right is for, by every route that asks for that right, and nothing else', async () => {
    expect(tokens.size).toBeGreaterThan(10);
    for (const [right, token] of tokens) {
      for (const route of routes.filter(({ plane }) => plane === 'organization')) {
        const what = `${route.method} ${route.path} with the right to ${right}`;
        const { status, body: said } = await ask(route, token);
        if (route.right !== undefined && wordOf(route.right) === right) {
          expect([401, 403], what).not.toContain(status);
          expect(status, what).toBeLessThan(500);
        } else {
          expect(status, what).toBe(403);
          expect(said, what).toMatchObject({ code: '403' });
          expectNoTrace({ body: said }, what);
        }
      }
    }
  });

  test('with every right of the cluster finds no organization where there is none', async () => {
    const none = ['no-such-namespace', '.', '..', '../default', 'a b', 'Ünï', 'x'.repeat(300), '*', '\0'];
    for (const org of none) {
      for (const route of routes.filter(({ plane }) => plane === 'organization')) {
        const what = `${route.method} ${route.path} of ${org.slice(0, 20)}`;
        const path = fill(route.path, { ...names, org });
        const sent = ['POST', 'PUT', 'PATCH'].includes(route.method) ? { body: JSON.stringify(body) } : {};
        const { status } = await wire(gateway.origin, route.method, path, { key: admin, ...sent });
        // Lists are empty where there is nothing, as they are of Kubernetes; what is no name at all has none.
        if (org !== 'no-such-namespace') expect(status, what).toBe(404);
        else expect(status, what).toBeLessThan(500);
      }
    }
  });
});

test('a key that somebody has written into its object is not shown with it, unless it is public', async () => {
  const text = `sk_${'z'.repeat(43)}`;
  const { namespace, kube } = theirs;
  const { spec, ...object } = apiKeyOf(text, 'Private', 'written down');
  await kube.api.create(apiKeys, namespace, { ...object, spec: { ...spec, key: text } });
  const key = keysOf.theirs.Cli;
  await gateway.answers('GET', '/v1/users', { key: text }, { status: 200 });
  const { body: listed } = await gateway.call('GET', `/v1/organizations/${namespace}/apiKeys`, { key });
  expect(JSON.stringify(listed)).toContain('written down');
  expect(JSON.stringify(listed)).not.toContain(text);
});

test('nothing that opens anything, and nothing secret, is in the log', () => {
  const log = gateway.lines.map((line) => JSON.stringify(line)).join('\n');
  expect(log).toContain('"request"');
  for (const secret of [...Object.values(keysOf.theirs), ...Object.values(keysOf.mine), revoked, VALUE, 'eyJ'])
    expect(log).not.toContain(secret);
});
