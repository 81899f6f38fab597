import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { chartFolder, podSpecs, render } from '../support/chart-render.ts';

/**
 * The chart on a real API server, in a namespace that enforces the `restricted` pod security standard. No container runs
 * there, so hooks are left out; the tests on a node have them. What is cluster-wide carries the name of this namespace, and
 * the CRD is one of this test's own: other tests use the real ones.
 */
const cluster = await connectCluster();
const namespace = `chart-${Date.now().toString(36)}`;
const controller = `${namespace}-controller`;
const gateway = `${namespace}-gateway`;
const organization = `${namespace}-org`;
const crd = `widgets.${namespace}.example.com`;
const draft = await mkdtemp(join(tmpdir(), 'bullpen-chart-'));

const kubectl = async (args: string[], input = ''): Promise<string> => (await cluster.kubectl(args, { input })).stdout;

const helm = async (command: string): Promise<void> => {
  // No node will do: the nodes that other files play at the same time would end such pods, and the Deployments make new ones for ever.
  const nodeSelector = { 'bullpen.test/node': 'none' };
  const values = { fullnameOverride: namespace, flowControl: { enabled: true }, controller: { nodeSelector } };
  const args = [command, 'bullpen', draft, '--namespace', namespace, '--values', '-'];
  await cluster.helm(args, { input: JSON.stringify(values) });
};

/** Writes the chart's only CRD; `column` is what changes between two versions of the chart. */
async function writeCrd(column: string): Promise<void> {
  const additionalPrinterColumns = [{ name: column, type: 'string', jsonPath: '.metadata.name' }];
  const schema = { openAPIV3Schema: { type: 'object' } };
  const document = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crd },
    spec: {
      group: `${namespace}.example.com`,
      scope: 'Namespaced',
      names: { kind: 'Widget', listKind: 'WidgetList', plural: 'widgets', singular: 'widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema, additionalPrinterColumns }],
    },
  };
  await writeFile(join(draft, 'files/crds/widgets.yaml'), JSON.stringify(document));
}

const columnOfCrd = (): Promise<string> =>
  kubectl(['get', 'crd', crd, '-o', 'jsonpath={.spec.versions[0].additionalPrinterColumns[0].name}']);

/** Whether the API server lets this user do that in the namespace (or elsewhere), as it judges every request. */
async function may(user: string, verb: string, resource: string, where: object = { namespace }): Promise<boolean> {
  const [path = '', subresource] = resource.split('/');
  const [plural, ...group] = path.split('.');
  const resourceAttributes = { verb, resource: plural, group: group.join('.'), subresource, ...where };
  const apiVersion = 'authorization.k8s.io/v1';
  const review = { apiVersion, kind: 'SubjectAccessReview', spec: { user, resourceAttributes } };
  const args = ['create', '-o', 'jsonpath={.status.allowed}', '-f', '-'];
  return (await kubectl(args, JSON.stringify(review))) === 'true';
}

beforeAll(async () => {
  await cp(chartFolder, draft, { recursive: true, dereference: true });
  await rm(join(draft, 'files/crds'), { recursive: true });
  await mkdir(join(draft, 'files/crds'));
  await writeCrd('First');
  await kubectl(['create', 'namespace', namespace]);
  await kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
  await helm('install');
  await kubectl(['create', 'namespace', organization]);
  // As `bullpen org create` does.
  const role = `--clusterrole=${gateway}-organization`;
  const account = `--serviceaccount=${namespace}:${gateway}`;
  await kubectl(['create', 'rolebinding', 'gateway', role, account, '--namespace', organization]);
});

afterAll(async () => {
  await cluster.helm(['uninstall', 'bullpen', '--namespace', namespace, '--no-hooks', '--ignore-not-found']);
  await kubectl(['delete', 'crd', crd, '--ignore-not-found']);
  await kubectl(['delete', 'namespace', namespace, organization, '--wait=false']);
  await rm(draft, { recursive: true });
});

test('controller and gateway get their two pods each where only restricted ones are allowed', async () => {
  const pods = () => kubectl(['get', 'pods', '--namespace', namespace, '-o', 'name']);
  await expect.poll(async () => (await pods()).trim().split('\n').length, { timeout: 120_000 }).toBe(4);
});

test('so do the pods of hooks and tests', async () => {
  for (const [name, spec] of podSpecs(await render(cluster))) {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { ...spec, serviceAccountName: 'default' } };
    await kubectl(['create', '--namespace', namespace, '--dry-run=server', '-f', '-'], JSON.stringify(pod));
  }
});

test.each<[verb: string, resource: string, where?: object]>([
  ['watch', 'agents.bullpen.dev', {}],
  ['patch', 'agents.bullpen.dev/status'],
  ['delete', 'sessions.bullpen.dev'],
  ['patch', 'sessions.bullpen.dev/status'],
  ['update', 'sessions.bullpen.dev/finalizers'],
  ['watch', 'pods', {}],
  ['create', 'pods'],
  ['delete', 'pods'],
  ['list', 'controllerrevisions.apps'],
  ['create', 'controllerrevisions.apps'],
  ['patch', 'controllerrevisions.apps'],
  ['delete', 'controllerrevisions.apps'],
  ['get', 'secrets'],
  ['list', 'nodes', {}],
  ['patch', 'poddisruptionbudgets.policy'],
  ['create', 'networkpolicies.networking.k8s.io'],
  ['create', 'events.events.k8s.io'],
  ['create', 'leases.coordination.k8s.io'],
  ['update', 'leases.coordination.k8s.io', { namespace, name: controller }],
  ['create', 'secrets'],
  ['update', 'secrets', { namespace, name: `${controller}-keys` }],
  ['update', 'secrets', { namespace, name: `${namespace}-gateway-keys` }],
])('the controller may %s %s', async (verb, resource, where) => {
  expect(await may(`system:serviceaccount:${namespace}:${controller}`, verb, resource, where)).toBe(true);
});

test.each<[verb: string, resource: string, where?: object]>([
  ['list', 'secrets'],
  ['create', 'secrets', { namespace: 'kube-system' }],
  ['update', 'secrets', { namespace, name: 'another' }],
  ['delete', 'secrets', { namespace, name: `${controller}-keys` }],
  ['create', 'pods/exec'],
  ['patch', 'nodes', {}],
  ['create', 'agents.bullpen.dev'],
  ['watch', 'controllerrevisions.apps'],
  ['update', 'sessions.bullpen.dev'],
  ['create', 'sessions.bullpen.dev'],
  ['patch', 'deployments.apps/scale'],
  ['get', 'leases.coordination.k8s.io', { namespace: 'kube-system', name: controller }],
  ['update', 'leases.coordination.k8s.io', { namespace, name: 'another' }],
  ['create', 'rolebindings.rbac.authorization.k8s.io'],
  ['impersonate', 'users', {}],
])('the controller may not %s %s', async (verb, resource, where) => {
  expect(await may(`system:serviceaccount:${namespace}:${controller}`, verb, resource, where)).toBe(false);
});

const inOrganization = [
  ['patch', 'agents.bullpen.dev'],
  ['create', 'sessions.bullpen.dev'],
  ['delete', 'sessions.bullpen.dev'],
  ['create', 'apikeys.bullpen.dev'],
  ['patch', 'apikeys.bullpen.dev/status'],
  ['get', 'pods/log'],
  ['list', 'controllerrevisions.apps'],
  ['create', 'secrets'],
] as const;

test.each(inOrganization)('the gateway may %s %s in an organization, and nowhere else', async (verb, resource) => {
  const user = `system:serviceaccount:${namespace}:${gateway}`;
  expect(await may(user, verb, resource, { namespace: organization })).toBe(true);
  for (const where of [{ namespace }, { namespace: 'default' }])
    expect(await may(user, verb, resource, where)).toBe(false);
});

test.each<[verb: string, resource: string, where?: object]>([
  ['watch', 'agents.bullpen.dev', {}],
  ['watch', 'sessions.bullpen.dev', {}],
  ['watch', 'apikeys.bullpen.dev', {}],
  ['create', 'tokenreviews.authentication.k8s.io', {}],
  ['create', 'subjectaccessreviews.authorization.k8s.io', {}],
  ['watch', 'configmaps', { namespace, name: `${namespace}-sealing-keys` }],
  ['get', 'secrets', { namespace, name: `${namespace}-gateway-keys` }],
])('the gateway may %s %s', async (verb, resource, where) => {
  expect(await may(`system:serviceaccount:${namespace}:${gateway}`, verb, resource, where)).toBe(true);
});

test.each<[verb: string, resource: string, where?: object]>([
  ['list', 'secrets'],
  ['get', 'secrets', { namespace, name: `${controller}-keys` }],
  ['patch', 'secrets', { namespace, name: `${controller}-keys` }],
  ['create', 'secrets', { namespace: 'default' }],
  ['patch', 'secrets', { namespace: 'default' }],
  ['list', 'configmaps'],
  ['create', 'pods'],
  ['patch', 'pods'],
  ['delete', 'pods'],
  ['create', 'pods/exec'],
  ['patch', 'agents.bullpen.dev/status'],
  ['patch', 'sessions.bullpen.dev/status'],
  ['patch', 'controllerrevisions.apps'],
  ['update', 'leases.coordination.k8s.io', { namespace, name: controller }],
  ['create', 'rolebindings.rbac.authorization.k8s.io'],
  ['impersonate', 'users', {}],
])('the gateway may not %s %s', async (verb, resource, where) => {
  expect(await may(`system:serviceaccount:${namespace}:${gateway}`, verb, resource, where)).toBe(false);
});

test('who may view or edit a namespace may view or edit its Agents and Sessions', async () => {
  for (const role of ['view', 'edit']) {
    const args = ['create', 'rolebinding', role, `--clusterrole=${role}`, `--user=${role}er`, '-n', namespace];
    await kubectl(args);
  }
  // Kubernetes aggregates ClusterRoles in its own time.
  await expect.poll(() => may('editer', 'create', 'agents.bullpen.dev'), { timeout: 90_000 }).toBe(true);
  await expect.poll(() => may('viewer', 'list', 'sessions.bullpen.dev'), { timeout: 90_000 }).toBe(true);
  expect(await may('editer', 'patch', 'sessions.bullpen.dev')).toBe(true);
  expect(await may('editer', 'patch', 'sessions.bullpen.dev/status')).toBe(false);
  expect(await may('viewer', 'create', 'sessions.bullpen.dev')).toBe(false);
  expect(await may('viewer', 'list', 'controllerrevisions.apps')).toBe(true);
  // With a public key one starts sessions.
  expect(await may('editer', 'get', 'apikeys.bullpen.dev')).toBe(false);
});

test('the requests of the controller have a priority level of their own', async () => {
  const args = ['get', 'flowschema', controller, '-o', 'jsonpath={.status.conditions[?(@.type=="Dangling")].status}'];
  await expect.poll(() => kubectl(args), { timeout: 90_000 }).toBe('False');
});

test('CRDs are upgraded with the release', async () => {
  expect(await columnOfCrd()).toBe('First');
  await writeCrd('Second');
  await helm('upgrade');
  expect(await columnOfCrd()).toBe('Second');
});

test('an uninstall leaves the CRDs, and nothing else that is cluster-wide; a new install takes them over', async () => {
  await cluster.helm(['uninstall', 'bullpen', '--namespace', namespace, '--no-hooks']);
  const kinds = 'clusterroles,clusterrolebindings,flowschemas,prioritylevelconfigurations';
  const left = await kubectl(['get', kinds, '-o', 'name']);
  expect(left.split('\n').filter((name) => name.includes(namespace))).toEqual([]);
  expect(await columnOfCrd()).toBe('Second');
  await helm('install');
});
