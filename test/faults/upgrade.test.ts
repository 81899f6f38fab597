import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { repository } from '../support/build.ts';
import { applyCrds } from '../support/crds.ts';
import { Stage } from '../support/stage.ts';

/** An upgrade while a session runs: new CRDs are applied, and one controller takes over from the other. */
const cluster: Cluster = await connectCluster();
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(cluster, 'upgrade');
});

afterAll(async () => {
  await applyCrds(cluster);
  await stage?.close();
});

interface Schema {
  properties: Record<string, Schema>;
}

/** The CRDs of a next version, which has one more optional field in every spec and status. */
async function applyNextCrds(): Promise<void> {
  for (const file of await readdir(join(repository, 'crds'))) {
    const crd = parse(await readFile(join(repository, 'crds', file), 'utf8')) as {
      spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
    };
    for (const { schema } of crd.spec.versions)
      for (const part of ['spec', 'status'])
        Object.assign(schema.openAPIV3Schema.properties[part]?.properties ?? {}, {
          ofTheNextVersion: { type: 'string', default: 'new' },
        });
    const input = JSON.stringify(crd);
    await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input });
  }
}

test('CRDs are applied again and the controllers are replaced, and a running session does not notice', async () => {
  const scene = await stage.scene('rolling');
  await scene.agent('agent', 2, { whenFull: 'Queue' }, {});
  const old = [await scene.leader(), await scene.standby()];
  const [running = ''] = await scene.burst('agent', 1, 'running');
  const before = await scene.kube.sessionInPhase(running, 'Running');

  await applyNextCrds();
  await scene.burst('agent', 1, 'meanwhile');
  const fresh = [];
  for (const controller of old) {
    fresh.push(await scene.standby());
    await controller.stop();
    expect(await controller.exited()).toBe(0);
  }
  await Promise.race(fresh.map((controller) => controller.log('leading')));

  const after = await scene.kube.session(running);
  expect(after.status).toMatchObject({ phase: 'Running', podUID: before.status?.podUID });
  await scene.kube.sessionInPhase('meanwhile-0', 'Running');
  for (const name of [running, 'meanwhile-0']) {
    const { status } = await scene.kube.session(name);
    stage.kubelet.exit(scene.namespace, status?.podName ?? '', { code: 0 });
  }
  await scene.settled([running, 'meanwhile-0']);
  const { violations, sessions, podsCreated } = await scene.replay();
  expect(violations).toEqual([]);
  expect(podsCreated).toBe(2);
  expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(['Completed', 'Completed']);
  expect(sessions.get(running)?.status).toMatchObject({ podUID: before.status?.podUID });
  // And back again, as a rollback does: what the next version stored in its own field is dropped.
  await applyCrds(cluster);
  await scene.settled(
    await (async () => {
      scene.script('agent', { exit: { afterMs: 100, code: 0 } });
      return await scene.burst('agent', 2, 'rolled-back');
    })(),
  );
});
