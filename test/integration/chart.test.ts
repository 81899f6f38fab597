import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/controller/config.ts';
import { readConfig as readGatewayConfig } from '../../src/gateway/config.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { chartFolder, podSpecs, refusal, render, titles, type Manifest, type Values } from '../support/chart-render.ts';

const cluster = await connectCluster();
const crds = fileURLToPath(new URL('../../crds/', import.meta.url));

/** Every option on that adds objects. */
const everything: Values = {
  commonLabels: { team: 'voice' },
  imagePullSecrets: [{ name: 'registry' }],
  controller: { priorityClassName: 'system-cluster-critical', env: [{ name: 'HTTPS_PROXY', value: 'http://proxy' }] },
  networkPolicy: { controller: { enabled: true, from: [{ namespaceSelector: {} }] } },
  metrics: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } },
  flowControl: { enabled: true },
};
const namespaced: Values = { watch: { namespaces: ['calls', 'tests'] } };

const ofKind = (manifests: readonly Manifest[], ...kinds: string[]): Manifest[] =>
  manifests.filter(({ kind }) => kinds.includes(kind));

describe('any values', () => {
  test.each([
    ['defaults', {}],
    ['every option', everything],
    ['named namespaces', namespaced],
  ])('helm lint --strict has nothing against the chart (%s)', async (_, values) => {
    await cluster.helm(['lint', '--strict', chartFolder, '--values', '-'], { input: JSON.stringify(values) });
  });

  test.each([
    ['defaults', {}],
    ['every option', everything],
    ['named namespaces', namespaced],
  ])('no right is a wildcard (%s)', async (_, values) => {
    const roles = ofKind(await render(cluster, values), 'Role', 'ClusterRole');
    expect(roles.length).toBeGreaterThan(4);
    for (const { metadata, rules = [] } of roles) {
      for (const rule of rules) expect(JSON.stringify(rule), metadata.name).not.toContain('*');
    }
  });

  test.each([
    ['defaults', {}],
    ['every option', everything],
  ])('every pod of ours is restricted and writes nowhere (%s)', async (_, values) => {
    const pods = podSpecs(await render(cluster, values));
    expect([...pods.keys()].sort()).toEqual([
      'bullpen-controller',
      'bullpen-gateway',
      'bullpen-release',
      'bullpen-test',
    ]);
    for (const { securityContext, containers } of pods.values()) {
      expect(securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      expect(containers).toHaveLength(1);
      expect(containers[0]?.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(containers[0]?.resources).toMatchObject({ requests: { cpu: '100m' }, limits: { memory: '512Mi' } });
    }
  });
});

describe('the defaults', () => {
  test('install two replicas that one eviction cannot take both', async () => {
    const manifests = await render(cluster);
    const deployments = ofKind(manifests, 'Deployment');
    expect(titles(deployments)).toHaveLength(2);
    for (const { spec } of deployments) expect(spec).toMatchObject({ replicas: 2 });
    for (const { spec } of ofKind(manifests, 'PodDisruptionBudget')) expect(spec).toMatchObject({ maxUnavailable: 1 });
    expect(podSpecs(manifests).get('bullpen-controller')?.topologySpreadConstraints).toHaveLength(1);
  });

  test('give a configuration that the programs accept', async () => {
    for (const [name, { containers }] of podSpecs(await render(cluster))) {
      const config = containers[0]?.env?.find((variable) => variable.name === 'BULLPEN_CONFIG')?.value;
      if (name === 'bullpen-test') continue;
      if (name === 'bullpen-gateway') {
        // What the values say is what the program takes for itself.
        const own = { BULLPEN_CONFIG: JSON.stringify({ namespace: 'bullpen-system' }) };
        expect(readGatewayConfig({ BULLPEN_CONFIG: config })).toEqual(readGatewayConfig(own));
        continue;
      }
      expect(readConfig({ BULLPEN_CONFIG: config })).toMatchObject({
        namespace: 'bullpen-system',
        watchNamespaces: [],
        leaderElection: { leaseName: 'bullpen-controller' },
        supervisor: {
          keysSecret: 'bullpen-controller-keys',
          gatewayKeysSecret: 'bullpen-gateway-keys',
          sealingKeysConfigMap: 'bullpen-sealing-keys',
        },
        sessionPods: { allowHostPath: false, allowPrivileged: false },
        networkPolicy: { sessions: { enabled: true } },
      });
    }
  });

  test('allow the lease in the namespace of the release only', async () => {
    const manifests = await render(cluster);
    const rules = ofKind(manifests, 'ClusterRole').flatMap((role) => role.rules ?? []);
    expect(rules.filter(({ apiGroups }) => apiGroups.includes('coordination.k8s.io'))).toEqual([]);
    const [leader] = manifests.filter(({ metadata }) => metadata.name === 'bullpen-controller-leader');
    expect(leader?.metadata.namespace).toBe('bullpen-system');
  });

  test('let the controller write two Secrets, of keys, the uninstall delete those, and the gateway read one', async () => {
    const roles = ofKind(await render(cluster), 'Role', 'ClusterRole');
    const rights = roles.flatMap(({ metadata, rules = [] }) =>
      rules
        .filter(({ resources }) => resources.includes('secrets'))
        .map(({ verbs, resourceNames }) => [metadata.name, verbs.join(), resourceNames?.join() ?? 'any']),
    );
    expect(rights.sort()).toEqual([
      ['bullpen-controller', 'get', 'any'],
      ['bullpen-controller-leader', 'create', 'any'],
      ['bullpen-controller-leader', 'get,update', 'bullpen-controller-keys,bullpen-gateway-keys'],
      ['bullpen-gateway', 'get', 'bullpen-gateway-keys'],
      ['bullpen-gateway-organization', 'create,patch,delete', 'any'],
      ['bullpen-gateway-organization', 'get', 'bullpen-daily'],
      ['bullpen-release', 'delete', 'bullpen-controller-keys,bullpen-gateway-keys'],
    ]);
  });

  test('bind nothing that reaches Secrets to the gateway: that is done namespace by namespace', async () => {
    const bindings = ofKind(await render(cluster), 'ClusterRoleBinding', 'RoleBinding');
    expect(bindings.map(({ roleRef }) => roleRef?.name)).not.toContain('bullpen-gateway-organization');
  });

  test('install the CRDs as they are generated, to be upgraded with the release and kept when it goes', async () => {
    const installed = ofKind(await render(cluster), 'CustomResourceDefinition');
    const files = await readdir(crds);
    expect(installed).toHaveLength(files.length);
    for (const file of files) {
      const generated = parse(await readFile(crds + file, 'utf8')) as Manifest;
      const found = installed.find(({ metadata }) => metadata.name === generated.metadata.name);
      expect(found?.spec).toEqual(generated.spec);
      expect(found?.metadata.annotations).toMatchObject({
        ...generated.metadata.annotations,
        'helm.sh/resource-policy': 'keep',
      });
      expect(found?.metadata.labels).toMatchObject({ 'app.kubernetes.io/managed-by': 'Helm' });
    }
  });

  test('hand Agents and Sessions to view and edit', async () => {
    const roles = ofKind(await render(cluster), 'ClusterRole');
    const aggregation = roles.flatMap(({ metadata: { name, labels } }) =>
      Object.keys(labels)
        .filter((label) => label.startsWith('rbac.authorization.k8s.io/aggregate-to-'))
        .map((label) => `${name} ${label.split('-').at(-1) ?? ''}`),
    );
    expect(aggregation.sort()).toEqual([
      'bullpen-agent-editor edit',
      'bullpen-key-admin admin',
      'bullpen-session-editor edit',
      'bullpen-viewer view',
    ]);
  });
});

describe('values', () => {
  test('watch.namespaces leaves no right outside them but reading Nodes, and asking who has a token', async () => {
    const manifests = await render(cluster, namespaced);
    const roles = ofKind(manifests, 'ClusterRole', 'Role');
    expect(titles(roles).sort()).toEqual([
      'ClusterRole bullpen-agent-editor',
      'ClusterRole bullpen-controller-nodes',
      'ClusterRole bullpen-gateway',
      'ClusterRole bullpen-key-admin',
      'ClusterRole bullpen-session-editor',
      'ClusterRole bullpen-viewer',
      'Role bullpen-system/bullpen-controller-leader',
      'Role bullpen-system/bullpen-gateway',
      'Role bullpen-system/bullpen-release',
      'Role bullpen-system/bullpen-test',
      'Role calls/bullpen-controller',
      'Role calls/bullpen-gateway-organization',
      'Role calls/bullpen-release-pods',
      'Role tests/bullpen-controller',
      'Role tests/bullpen-gateway-organization',
      'Role tests/bullpen-release-pods',
    ]);
    const bound = ofKind(manifests, 'ClusterRoleBinding').map(({ roleRef }) => roleRef?.name);
    expect(bound.sort()).toEqual(['bullpen-controller-nodes', 'bullpen-gateway']);
    const reviews = roles.find(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'bullpen-gateway');
    expect(reviews?.rules?.map(({ resources, verbs }) => [resources, verbs])).toEqual([
      [['tokenreviews'], ['create']],
      [['subjectaccessreviews'], ['create']],
    ]);
    const nodes = roles.find(({ metadata }) => metadata.name === 'bullpen-controller-nodes');
    expect(nodes?.rules).toEqual([{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] }]);
  });

  test('every option renders, with its labels and settings', async () => {
    const manifests = await render(cluster, everything);
    const added = ['FlowSchema', 'NetworkPolicy', 'PriorityLevelConfiguration', 'ServiceMonitor'];
    expect([...new Set(ofKind(manifests, ...added).map(({ kind }) => kind))].sort()).toEqual(added);
    for (const { metadata } of manifests) expect(metadata.labels, metadata.name).toMatchObject({ team: 'voice' });
    for (const spec of podSpecs(manifests).values()) expect(spec.priorityClassName).toBe('system-cluster-critical');
  });

  test('crds.install: false and uninstall.releasePods: false leave those out', async () => {
    const manifests = await render(cluster, { crds: { install: false }, uninstall: { releasePods: false } });
    expect(ofKind(manifests, 'CustomResourceDefinition', 'Job')).toEqual([]);
    expect(titles(manifests).join('\n')).not.toContain('-release');
  });

  test('watch.namespaces may hold the namespace of the release where there is no gateway', async () => {
    const manifests = await render(cluster, { watch: { namespaces: ['bullpen-system'] }, gateway: { enabled: false } });
    expect(titles(manifests)).toContain('Role bullpen-system/bullpen-controller');
  });

  test.each<[string, Values, string]>([
    ['an unknown value', { sessionPod: {} }, "'sessionPod' not allowed"],
    ['an unknown value deep inside', { sessionPods: { allowEverything: true } }, "'allowEverything' not allowed"],
    ['a text for a switch', { crds: { install: 'yes' } }, 'want boolean'],
    ['a wildcard for a namespace', { watch: { namespaces: ['*'] } }, '/watch/namespaces/0'],
    [
      'the namespace of the release as an organization',
      { watch: { namespaces: ['calls', 'bullpen-system'] } },
      'watch.namespaces must not hold bullpen-system, the namespace of the release',
    ],
    ['an environment variable of ours', { controller: { env: [{ name: 'BULLPEN_CONFIG', value: '{}' }] } }, '/env/0'],
    ['no name for an account that exists', { serviceAccount: { create: false } }, 'serviceAccount.name must name'],
  ])('%s is refused', async (_, values, words) => {
    expect(await refusal(cluster, values)).toContain(words);
  });
});
