import { Registry } from 'prom-client';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/kube/clock.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { isGone } from '../../src/kube/errors.ts';
import { Informer } from '../../src/kube/informer.ts';
import { KubeMetrics } from '../../src/kube/metrics.ts';
import { pods } from '../../src/kube/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { configMaps, type ConfigMap } from '../support/config-maps.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** The API server has forgotten what a watch or a list would go on from (410 Gone): etcd was compacted. */
const cluster: Cluster = await connectCluster();
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(cluster, 'compaction');
});

afterAll(() => stage?.close());

/** A new API server knows no version from before its start, and etcd none from before the compaction. */
async function forgetEverything(): Promise<void> {
  await cluster.compact();
  await cluster.restartApiServer();
}

const create = (scene: Scene, name: string): Promise<ConfigMap> =>
  scene.kube.api.create(configMaps, scene.namespace, { metadata: { name, labels: { test: 'compaction' } } });

describe.skipIf(cluster.provider !== 'binaries')('when etcd has been compacted', () => {
  test('the next page of an older list is Gone', async () => {
    const scene = await stage.scene('pages');
    const { api } = scene.kube;
    await Promise.all(['a', 'b', 'c'].map((name) => create(scene, name)));
    const options = { namespace: scene.namespace, labelSelector: 'test=compaction', limit: 2 };
    const first = await api.list(configMaps, options);
    await create(scene, 'd');
    await cluster.compact();
    // The API server may go on from what it remembers by itself.
    await cluster.restartApiServer();
    const error: unknown = await api
      .list(configMaps, { ...options, continue: first.continue })
      .catch((reason: unknown) => reason);
    expect(isGone(error)).toBe(true);
  });

  test('an informer whose watch was broken meanwhile lists afresh and misses nothing', async () => {
    const scene = await stage.scene('informer');
    const { namespace } = scene;
    const proxy = await ChaosProxy.start(cluster);
    const config = new KubeConfig();
    config.loadFromFile(proxy.kubeconfig);
    const common = { clock: systemClock, random: Math.random };
    const api = KubeClient.fromKubeConfig(config, { userAgent: 'bullpen-test', ...common });
    const registry = new Registry();
    const labelSelector = 'test=compaction';
    const metrics = new KubeMetrics(registry);
    const informer = new Informer({
      api,
      resource: configMaps,
      namespaces: [namespace],
      labelSelector,
      metrics,
      ...common,
    });
    const stop = new AbortController();
    await create(scene, 'before');
    informer.start(stop.signal);
    await informer.whenSynced(stop.signal);
    const broken = proxy.when(({ watch }) => watch, 'lose-request');
    proxy.watches('configmaps').cut();
    await create(scene, 'meanwhile');
    await scene.kube.api.delete(configMaps, { namespace, name: 'before' });
    await forgetEverything();
    broken.end();
    const names = (): string =>
      informer.store
        .list()
        .map(({ metadata }) => metadata.name)
        .join();
    await waitFor(() => Promise.resolve(names() === 'meanwhile'), { what: `the store to be right`, timeoutMs: 60_000 });
    const lists = await registry.getSingleMetricAsString('bullpen_informer_lists_total');
    expect(lists).toContain('cause="expired"} 1');
    stop.abort();
    await Promise.all([api.close(), proxy.close()]);
  });

  test('a controller that saw nothing meanwhile catches up, and keeps the cap', { timeout: 480_000 }, async () => {
    const scene = await stage.scene('controller');
    await scene.agent('agent', 3, { whenFull: 'Queue', queueTimeoutSeconds: 600 }, {});
    const proxy = await ChaosProxy.start(cluster);
    await scene.keepRunning({ proxy });
    const names = await scene.burst('agent', 6);
    const running = await Promise.all(
      [0, 1, 2].map((index) => scene.kube.sessionInPhase(`s-${index}`, 'Running', 'Pending')),
    );
    const broken = proxy.when(({ watch }) => watch, 'lose-request');
    for (const resource of ['pods', 'sessions']) proxy.watches(resource).cut();
    const ended = running.find(({ status }) => status?.phase === 'Running')?.status?.podName ?? '';
    stage.kubelet.exit(scene.namespace, ended, { code: 0 });
    await scene.kube.when(pods, ended, 'over', ({ status }) => status.phase === 'Succeeded');
    names.push(...(await scene.burst('agent', 2, 'unseen')));
    await scene.replay(); // The record has it all, before it is forgotten.
    await forgetEverything();
    broken.end();
    scene.script('agent', { exit: { afterMs: 300, code: 0 } });
    // After a restart of the API server, Kubernetes' own controllers come back in their own time.
    await scene.settled(names, 300_000);
    const { violations, podsCreated, sessions } = await scene.replay();
    expect(violations).toEqual([]);
    expect(podsCreated).toBe(names.length);
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    await proxy.close();
  });
});
