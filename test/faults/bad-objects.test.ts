import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { apiVersion } from '../../src/api/names.ts';
import { isTrue } from '../../src/kube/conditions.ts';
import type { Condition } from '../../src/kube/objects.ts';
import { Api, readApiAccess } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { applyCrds } from '../support/crds.ts';
import { Stage } from '../support/stage.ts';
import { isUpkeep, untilQuiet } from '../support/upkeep.ts';

/**
 * Objects that the CRDs of today would refuse: from an older version of them, from a restored backup, or from somebody who edited
 * the CRDs. One bad object never blocks the others, whatever is wrong with it.
 */
const cluster: Cluster = await connectCluster();
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(cluster, 'bad');
});

afterAll(async () => {
  await applyCrds(cluster);
  await stage?.close();
});

const badAgents: Record<string, object> = {
  'no-spec': {},
  'empty-spec': { spec: {} },
  'spec-is-text': { spec: 'all wrong' },
  'spec-is-null': { spec: null },
  'wrong-types': { spec: { image: 5, scaling: 'many', whenFull: 7, podTemplate: [] } },
  'wrong-status': { spec: { image: 'x', protocol: 'Process' }, status: { conditions: 'none', activeSessions: 'two' } },
};

const badSessions: Record<string, object> = {
  'no-spec': {},
  'empty-spec': { spec: {} },
  'spec-is-text': { spec: 'all wrong' },
  'spec-is-null': { spec: null },
  'agent-is-a-number': { spec: { agent: 5 } },
  'wrong-types': {
    spec: { agent: 'good', body: { a: 1 }, maxSessionDuration: 'long', stop: 'please', startBefore: 'soon' },
  },
  'unknown-phase': { spec: { agent: 'good' }, status: { phase: 'Dancing' } },
  'wrong-status': { spec: { agent: 'good' }, status: { phase: 'Running', conditions: 'none', limits: 7, podUID: 3 } },
  'no-limits': { spec: { agent: 'good' }, status: { phase: 'Starting' } },
};

/** The CRDs without any validation, as `kubectl` takes them. */
async function loosenCrds(): Promise<void> {
  for (const name of ['agents.bullpen.dev', 'sessions.bullpen.dev']) {
    const { stdout } = await cluster.kubectl(['get', 'crd', name, '-o', 'yaml']);
    const crd = parse(stdout) as { spec: { versions: Record<string, unknown>[] } };
    const versions = crd.spec.versions.map((version) => ({
      ...version,
      schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      // These must be fields of the schema.
      selectableFields: null,
      subresources: { status: {} },
    }));
    const patch = JSON.stringify({ spec: { versions } });
    await cluster.kubectl(['patch', 'crd', name, '--type=merge', '--patch', patch]);
  }
}

/** Repeats a write until the API server has noticed that the CRD allows it. */
async function allowed(write: () => Promise<unknown>): Promise<void> {
  const giveUpAt = Date.now() + 90_000;
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await sleep(300);
    }
  }
}

async function createBad(namespace: string): Promise<void> {
  const api = new Api(await readApiAccess(cluster.kubeconfig), 'bullpen-test');
  const create = async (
    kind: string,
    plural: string,
    name: string,
    { status, ...rest }: { status?: unknown },
  ): Promise<void> => {
    const path = `/apis/${apiVersion}/namespaces/${namespace}/${plural}`;
    const object = { apiVersion, kind, metadata: { name: `bad-${name}`, namespace }, ...rest };
    await allowed(() => api.call('POST', path, object));
    // A patch: the controller writes the status of a new Agent, too.
    const patch = { status };
    if (status !== undefined)
      await allowed(() => api.call('PATCH', `${path}/bad-${name}/status`, patch, 'application/merge-patch+json'));
  };
  for (const [name, parts] of Object.entries(badAgents)) await create('Agent', 'agents', name, parts);
  for (const [name, parts] of Object.entries(badSessions)) await create('Session', 'sessions', name, parts);
  await api.close();
}

interface Found {
  kind: string;
  metadata: { name: string };
  status?: { phase?: string; conditions?: Condition[] };
}

async function readAll(namespace: string): Promise<Found[]> {
  const { stdout } = await cluster.kubectl(['get', 'agents,sessions', '--namespace', namespace, '-o', 'json']);
  return (JSON.parse(stdout) as { items: Found[] }).items;
}

test('objects that cannot be read block nobody, whether they come while the controller runs or were there before it', async () => {
  const scene = await stage.scene('objects');
  await scene.agent('good', 4, { whenFull: 'Queue' });
  const proxy = await ChaosProxy.start(cluster);
  const first = await scene.leader({ proxy });
  await loosenCrds();
  await createBad(scene.namespace);
  await scene.settled(await scene.burst('good', 4, 'beside'));
  await first.stop();

  await applyCrds(cluster);
  const second = await scene.leader({ proxy });
  await scene.settled(await scene.burst('good', 4, 'after'));

  // Each is told what is wrong with it, and then left alone.
  const found = await readAll(scene.namespace);
  const finished = ['Ended', 'Rejected'];
  const silent = found.filter(({ kind, metadata, status }) =>
    kind === 'Session'
      ? !finished.includes(status?.phase ?? '')
      : metadata.name !== 'bad-wrong-status' &&
        !isTrue(status?.conditions, metadata.name === 'good' ? 'Ready' : 'Stalled'),
  );
  expect(silent).toEqual([]);
  await untilQuiet(proxy);
  const since = proxy.calls.length;
  await sleep(5_000);
  const calls = proxy.calls.slice(since).filter((call) => !isUpkeep(call));
  expect(calls.map(({ what }) => what)).toEqual([]);
  const failures = [...first.lines, ...second.lines].filter(({ msg }) =>
    /(reconciliation|listing|transform|index) failed/.test(msg),
  );
  expect(failures.map(({ msg, err }) => [msg, err])).toEqual([]);
  await proxy.close();
});
