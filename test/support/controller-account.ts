import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { readApiAccess, type ApiAccess } from '../cluster/api.ts';
import { render, type Manifest, type Values } from './chart-render.ts';

/** The programs that have an account of their own. */
type Program = 'controller' | 'gateway';

const accountOf = (program: Program): string => `bullpen-${program}`;

/** Who a controller is, with the rights that the chart gives it. */
export interface ControllerAccount {
  /** The name that the API server knows it by. */
  user: string;
  /** Path of a kubeconfig that says who it is by a token, as in a pod. */
  kubeconfig: string;
}

const accounts = new WeakMap<Cluster, Map<string, Promise<ControllerAccount>>>();
const granted = new WeakMap<Cluster, Map<string, Promise<void>>>();

/**
 * The account of the controllers whose lease is in this namespace. What the chart's RBAC forgets, no test of the controller
 * can do. A process makes it once.
 */
export function controllerAccount(
  cluster: Cluster,
  namespace: string,
  values: Values = {},
): Promise<ControllerAccount> {
  return programAccount(cluster, namespace, 'controller', values);
}

/** The same for any of the programs of that namespace. */
export async function programAccount(
  cluster: Cluster,
  namespace: string,
  program: Program,
  values: Values = {},
): Promise<ControllerAccount> {
  const rights = granted.get(cluster) ?? new Map<string, Promise<void>>();
  granted.set(cluster, rights);
  const right = rights.get(namespace) ?? grantRights(cluster, namespace, values);
  rights.set(namespace, right);
  await right;
  const known = accounts.get(cluster) ?? new Map<string, Promise<ControllerAccount>>();
  accounts.set(cluster, known);
  const key = `${namespace}/${program}`;
  const account = known.get(key) ?? makeAccount(cluster, namespace, program);
  known.set(key, account);
  return await account;
}

/** Gives that account the rights that the chart gives it with these values; again does no harm. */
export async function grantRights(cluster: Cluster, namespace: string, values: Values): Promise<void> {
  const hasGateway = (values['gateway'] as { enabled?: boolean } | undefined)?.enabled !== false;
  const ofGateway = hasGateway ? ['gateway-serviceaccount.yaml', 'gateway-rbac.yaml'] : [];
  const only = ['serviceaccount.yaml', 'rbac.yaml', ...ofGateway];
  const manifests = await render(cluster, values, { namespace, only });
  const input = manifests.map((manifest) => JSON.stringify(ofThisTest(manifest, namespace))).join('\n---\n');
  await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input });
}

/** Takes the account's rights away that are not in its namespace; the rest goes with that. */
export async function dropAccount(cluster: Cluster, namespace: string): Promise<void> {
  if (granted.get(cluster)?.delete(namespace) !== true) return;
  for (const program of ['controller', 'gateway'] as const) accounts.get(cluster)?.delete(`${namespace}/${program}`);
  const [controller, gateway] = [accountOf('controller'), accountOf('gateway')];
  const names = [controller, `${controller}-nodes`, gateway, `${gateway}-organization`].map(
    (name) => `${namespace}-${name}`,
  );
  await cluster.kubectl(['delete', 'clusterrole,clusterrolebinding', '--ignore-not-found', ...names]);
}

const folders: string[] = [];

/** Removed when the process ends. */
function rememberFolder(folder: string): void {
  if (folders.length === 0) {
    process.once('exit', () => {
      for (const made of folders) rmSync(made, { recursive: true, force: true });
    });
  }
  folders.push(folder);
}

async function makeAccount(cluster: Cluster, namespace: string, program: Program): Promise<ControllerAccount> {
  const account = accountOf(program);
  const token = await cluster.kubectl(['create', 'token', account, '--namespace', namespace, '--duration', '24h']);
  const folder = await mkdtemp(join(tmpdir(), 'bullpen-account-'));
  rememberFolder(folder);
  const kubeconfig = join(folder, 'kubeconfig');
  const access = await readApiAccess(cluster.kubeconfig);
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(access, token.stdout.trim())), { mode: 0o600 });
  return { user: `system:serviceaccount:${namespace}:${account}`, kubeconfig };
}

/** What is cluster-wide gets a name of this test's own. */
function ofThisTest(manifest: Manifest, namespace: string): Manifest {
  if (!manifest.kind.startsWith('ClusterRole')) return manifest;
  const named = (name: string): string => `${namespace}-${name}`;
  const { metadata, roleRef } = manifest;
  return {
    ...manifest,
    metadata: { ...metadata, name: named(metadata.name) },
    ...(roleRef && { roleRef: { ...roleRef, name: named(roleRef.name) } }),
  };
}

function kubeconfigOf({ server, ca, insecure }: ApiAccess, token: string): object {
  const cluster = {
    server,
    ...(ca !== undefined && { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
    ...(insecure && { 'insecure-skip-tls-verify': true }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'controller', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'controller' } }],
    'current-context': 'test',
  };
}
