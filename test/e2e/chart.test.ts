import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { labels } from '../../src/api/names.ts';
import { agents, sessions } from '../../src/api/resources.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { leases, namespaces, networkPolicies, podDisruptionBudgets, pods, secrets } from '../../src/kube/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { BullpenCli } from '../support/bullpen-cli.ts';
import { BULLPEN_IMAGE, loadBullpenImage } from '../support/bullpen-image.ts';
import { TestKube } from '../support/kube.ts';

/** The chart on a real node, from install to uninstall, in the order in which its owner would do things. */
const SYSTEM = 'e2e-chart-system';
const NAMESPACE = 'e2e-chart';
const OTHER = 'e2e-chart-other';
const CHART = 'charts/bullpen';
const POLITE = `trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.1; done`;

let cluster: Cluster;
let kube: TestKube;
let system: TestKube;

const image = Object.entries({ ...BULLPEN_IMAGE, pullPolicy: 'Never' })
  .map(([key, value]) => `image.${key}=${value}`)
  .join(',');

async function helm(...args: string[]): Promise<string> {
  const { stdout } = await cluster.helm(['--namespace', SYSTEM, ...args]);
  return stdout;
}

async function chart(command: 'install' | 'upgrade', folder: string, ...values: string[]): Promise<void> {
  const set = ['--set', [image, ...values].join(',')];
  // Other test files may have put the CRDs there without Helm.
  const takeOver = command === 'install' ? ['--take-ownership', '--force-conflicts'] : [];
  await helm(command, 'bullpen', folder, ...set, ...takeOver, '--wait', '--timeout', '3m');
}

/** The chart as an older version would have been: its CRD of Sessions has another short name. */
async function olderChart(): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), 'bullpen-chart-')), 'bullpen');
  await cp(CHART, folder, { recursive: true, dereference: true });
  const crd = join(folder, 'files/crds/bullpen.dev_sessions.yaml');
  await writeFile(crd, (await readFile(crd, 'utf8')).replace('- ses\n', '- older\n'));
  return folder;
}

async function shortNames(): Promise<string> {
  const { stdout } = await cluster.kubectl([
    'get',
    'crd',
    'sessions.bullpen.dev',
    '-o',
    'jsonpath={.spec.names.shortNames}',
  ]);
  return stdout;
}

/** The Secret that the controller makes its keys in. */
async function keysOfController(): Promise<unknown> {
  const { metadata, data } = await system.api.get(secrets, { namespace: SYSTEM, name: 'bullpen-controller-keys' });
  expect(Object.keys(data ?? {}).length).toBeGreaterThan(0);
  return { uid: metadata.uid, data };
}

/** Whether one of the chart's service accounts may do that in a namespace. */
async function may(account: string, verb: string, resource: string, namespace: string): Promise<boolean> {
  const who = `--as=system:serviceaccount:${SYSTEM}:${account}`;
  const { stdout } = await cluster
    .kubectl(['auth', 'can-i', verb, resource, '--namespace', namespace, who])
    .catch((error: unknown) => error as { stdout: string });
  return stdout.trim() === 'yes';
}

beforeAll(async () => {
  cluster = await connectCluster();
  await loadBullpenImage(cluster);
  kube = new TestKube(cluster, NAMESPACE);
  system = new TestKube(cluster, SYSTEM);
  await kube.createNamespace();
  // Bullpen itself runs where the strictest pod security standard is enforced.
  await system.createNamespace({ 'pod-security.kubernetes.io/enforce': 'restricted' });
});

afterAll(async () => {
  await kube?.close();
  await system?.close();
  await cluster.kubectl(['delete', 'namespace', OTHER, '--wait=false', '--ignore-not-found']);
});

describe('the chart', () => {
  it('installs into a namespace that enforces the restricted standard, and passes its own test', async () => {
    await chart('install', await olderChart(), `watch.namespaces={${NAMESPACE}}`);
    expect(await shortNames()).toBe('["older"]');
    await helm('test', 'bullpen', '--timeout', '2m');
  });

  it('runs a session, from its Agent to its recorded end, with rights in that namespace only', async () => {
    await kube.createAgent('echo', 'echo hello');
    await kube.when(
      agents,
      'echo',
      'Ready',
      ({ status }) => status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false,
    );
    await kube.createSession('first', { agent: 'echo' });
    expect((await kube.sessionInPhase('first', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    await kube.when(podDisruptionBudgets, 'bullpen-sessions', 'there', () => true);
    await kube.when(networkPolicies, 'bullpen-sessions', 'there', () => true);
    expect(await may('bullpen-controller', 'create', 'pods', 'default')).toBe(false);
  });

  it('is well, by `bullpen doctor`, and does not pretend to serve other namespaces', async () => {
    const cli = new BullpenCli({ cluster, namespace: NAMESPACE });
    const { code, stdout } = await cli.run(['doctor']);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    for (const component of ['controller', 'gateway'])
      expect(stdout).toMatch(new RegExp(`^ok {3}${component}: [1-9] of [1-9] pods are ready$`, 'm'));
    expect(stdout).toMatch(/^ok {3}agent echo is ready$/m);
    const served = await cli.run(['org', 'create', NAMESPACE]);
    expect(served).toEqual({ code: 0, stdout: `namespace/${NAMESPACE} is an organization\n`, stderr: '' });
    const other = await cli.run(['org', 'create', OTHER]);
    expect(other).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`add ${OTHER} to watch.namespaces`) as string,
    });
  });

  it('keeps its own namespace from becoming an organization', async () => {
    const cli = new BullpenCli({ cluster, namespace: NAMESPACE });
    const own = await cli.run(['org', 'create', SYSTEM]);
    expect(own).toMatchObject({ code: 2, stderr: expect.stringContaining("controller's keys") as string });
    const { metadata } = await system.api.get(namespaces, { name: SYSTEM });
    expect(metadata.labels).not.toHaveProperty([labels.organization]);
  });

  it('is upgraded, CRDs and all, while a session runs: the session does not notice', async () => {
    await kube.createAgent('polite', POLITE);
    await kube.createSession('through-upgrade', { agent: 'polite' });
    const before = await kube.sessionInPhase('through-upgrade', 'Running');
    const keys = await keysOfController();
    await chart('upgrade', CHART, `watch.namespaces={${NAMESPACE}}`, 'controller.podLabels.upgraded=yes');
    expect(await shortNames()).toBe('["ses"]');
    const after = await kube.session('through-upgrade');
    expect(after.status).toMatchObject({ phase: 'Running', podUID: before.status?.podUID });
    await kube.patchSession('through-upgrade', { stop: true });
    expect((await kube.sessionInPhase('through-upgrade', 'Ended')).status).toMatchObject({ reason: 'Stopped' });
    // That was the new one: pods and whoever seals for sessions know it by the same keys.
    expect(await keysOfController()).toEqual(keys);
  });

  it('is uninstalled while a session runs: no finalizer is left, and the session goes on', async () => {
    await kube.createSession('survivor', { agent: 'polite' });
    const running = await kube.sessionInPhase('survivor', 'Running');
    await helm('uninstall', 'bullpen', '--wait', '--timeout', '3m');
    for (const name of ['bullpen-controller-keys', 'bullpen-gateway-keys']) await system.gone(secrets, name);
    const { items } = await kube.api.list(pods, { namespace: NAMESPACE });
    expect(items.flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
    const pod = items.find(({ metadata }) => metadata.uid === running.status?.podUID);
    expect(pod?.status.phase).toBe('Running');
    expect((await kube.session('survivor')).status?.phase).toBe('Running');
  });

  it('is installed again, for the whole cluster, and records what has ended meanwhile', async () => {
    const { status } = await kube.session('survivor');
    await kube.api.delete(pods, { namespace: NAMESPACE, name: status?.podName ?? '' });
    await kube.gone(pods, status?.podName ?? '');
    await chart('install', CHART);
    const ended = await kube.sessionInPhase('survivor', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Lost', message: 'the pod vanished' });
  });

  it('lets its gateway keep the secrets of a namespace when `bullpen org create` says so, and not before', async () => {
    expect(await may('bullpen-gateway', 'create', 'secrets', NAMESPACE)).toBe(false);
    const { code, stdout } = await new BullpenCli({ cluster, namespace: NAMESPACE }).run(['org', 'create', NAMESPACE]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `namespace/${NAMESPACE} is an organization\nrolebinding/bullpen-gateway-organization created\n`,
    });
    expect(await may('bullpen-gateway', 'create', 'secrets', NAMESPACE)).toBe(true);
  });

  it('leaves nothing that keeps a namespace from being deleted', async () => {
    await kube.createSession('last', { agent: 'polite' });
    await kube.sessionInPhase('last', 'Running');
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--timeout=90s']);
    await expect(kube.session('last')).rejects.toSatisfy(isNotFound);
    await helm('uninstall', 'bullpen', '--wait', '--timeout', '3m');
    // What the next controller finds is a lease that nobody holds.
    const lease = await system.api
      .get(leases, { namespace: SYSTEM, name: 'bullpen-controller' })
      .catch(() => undefined);
    expect(lease?.spec?.holderIdentity ?? '').toBe('');
    await expect(system.api.list(sessions, { namespace: SYSTEM })).resolves.toMatchObject({ items: [] });
  });
});
