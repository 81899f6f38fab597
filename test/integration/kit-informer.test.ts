import { Registry } from 'prom-client';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { systemClock } from '../../src/kube/clock.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { Informer, type InformerOptions } from '../../src/kube/informer.ts';
import { KubeMetrics } from '../../src/kube/metrics.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { configMaps, type ConfigMap } from '../support/config-maps.ts';
import { TestKube } from '../support/kube.ts';

/** The informer on a real API server, behind a proxy that gets in its way. */
const cluster = await connectCluster();
const namespace = `kit-informer-${Date.now().toString(36)}`;
const kube = new TestKube(cluster, namespace);

beforeAll(() => kube.createNamespace());

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await kube.close();
});

/** An informer of the ConfigMaps with the label `test=NAME`, and what it is told. */
class Subject {
  readonly proxy: ChaosProxy;
  readonly informer: Informer<ConfigMap>;
  readonly changes: string[] = [];
  readonly #label: string;
  readonly #registry: Registry;

  private constructor(proxy: ChaosProxy, informer: Informer<ConfigMap>, label: string, registry: Registry) {
    this.proxy = proxy;
    this.informer = informer;
    this.#label = label;
    this.#registry = registry;
    informer.store.subscribe(({ type, object }) => this.changes.push(`${type} ${object.metadata.name}`));
  }

  static async start(
    { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
    label: string,
    options: Partial<InformerOptions<ConfigMap>> = {},
    prepare: (proxy: ChaosProxy) => unknown = () => undefined,
  ): Promise<Subject> {
    const proxy = await ChaosProxy.start(cluster);
    prepare(proxy);
    const config = new KubeConfig();
    config.loadFromFile(proxy.kubeconfig);
    const registry = new Registry();
    const common = { clock: systemClock, random: Math.random };
    const api = KubeClient.fromKubeConfig(config, { userAgent: 'bullpen-test', ...common });
    const informer = new Informer<ConfigMap>({
      api,
      resource: configMaps,
      namespaces: [namespace],
      labelSelector: `test=${label}`,
      metrics: new KubeMetrics(registry),
      ...common,
      ...options,
    });
    const stop = new AbortController();
    onTestFinished(async () => {
      stop.abort();
      await Promise.all([api.close(), proxy.close()]);
    });
    const subject = new Subject(proxy, informer, label, registry);
    informer.start(stop.signal);
    await informer.whenSynced(stop.signal);
    const watches = proxy.watches('configmaps');
    await waitFor(() => Promise.resolve(watches.running > 0), { what: 'the watch to begin', timeoutMs: 20_000 });
    return subject;
  }

  async make(...names: string[]): Promise<void> {
    const labels = { test: this.#label };
    await Promise.all(names.map((name) => kube.api.create(configMaps, namespace, { metadata: { name, labels } })));
  }

  async shows(...names: string[]): Promise<void> {
    const now = (): string[] =>
      this.informer.store
        .list()
        .map(({ metadata }) => metadata.name)
        .sort();
    const same = (): Promise<boolean> => Promise.resolve(JSON.stringify(now()) === JSON.stringify([...names].sort()));
    await waitFor(same, {
      what: `the store to show ${names.join(', ')} and not ${now().join(', ')}`,
      timeoutMs: 20_000,
    });
  }

  /** Complete lists so far, by cause. */
  async lists(cause: string): Promise<number> {
    const metric = await this.#registry.getSingleMetric('bullpen_informer_lists_total')?.get();
    return metric?.values.find(({ labels }) => labels['cause'] === cause)?.value ?? 0;
  }
}

const remove = (name: string): Promise<unknown> => kube.api.delete(configMaps, { namespace, name });

describe.concurrent('an informer', () => {
  test.for([
    ['streamed', 0],
    ['in pages, where the server does not stream them', 3],
  ] as const)('lists %s, and follows from there', async ([how, pages], context) => {
    const label = how === 'streamed' ? 'streamed' : 'pages';
    const names = ['a', 'b', 'c', 'd', 'e'].map((name) => `${label}-${name}`);
    const labels = { test: label };
    await Promise.all(names.map((name) => kube.api.create(configMaps, namespace, { metadata: { name, labels } })));
    const refusal = { status: 422, asStatus: 'Invalid' };
    const subject = await Subject.start(context, label, { pageSize: 2 }, (proxy) => {
      if (pages > 0) proxy.when('STREAM configmaps', refusal);
    });
    await subject.shows(...names);
    expect(subject.proxy.count(({ what }) => what === 'STREAM configmaps')).toBe(1);
    expect(subject.proxy.count(({ what }) => what === 'GET configmaps')).toBe(pages);
    await remove(`${label}-a`);
    await subject.make(`${label}-f`);
    await subject.shows(...names.slice(1), `${label}-f`);
    expect(subject.changes.slice(-2)).toEqual([`deleted ${label}-a`, `added ${label}-f`]);
  });

  test('sees an object that leaves its selection as deleted, and one that comes back as added', async (context) => {
    const subject = await Subject.start(context, 'leave');
    await subject.make('leave-a');
    await subject.shows('leave-a');
    const label = (test: string): Promise<unknown> =>
      kube.api.patch(
        configMaps,
        { namespace, name: 'leave-a' },
        { type: 'merge', body: { metadata: { labels: { test } } } },
      );
    await label('elsewhere');
    await subject.shows();
    await label('leave');
    await subject.shows('leave-a');
    expect(subject.changes).toEqual(['added leave-a', 'deleted leave-a', 'added leave-a']);
  });

  test('tells a successor of the same name from the object itself, also when it saw neither deletion nor creation', async (context) => {
    const subject = await Subject.start(context, 'successor');
    await subject.make('successor');
    await subject.shows('successor');
    const [first] = subject.informer.store.list();
    subject.proxy.watches('configmaps').freeze();
    await remove('successor');
    await subject.make('successor');
    await subject.informer.relist();
    expect(subject.informer.store.list()[0]?.metadata.uid).not.toBe(first?.metadata.uid);
    expect(subject.changes).toEqual(['added successor', 'deleted successor', 'added successor']);
    // What the watch brings late is old news.
    subject.proxy.watches('configmaps').thaw();
    await subject.make('successor-next');
    await subject.shows('successor', 'successor-next');
    expect(subject.changes).toHaveLength(4);
  });

  test('shows by relist() what the server knew when it was called, while its watch is stuck', async (context) => {
    const subject = await Subject.start(context, 'relist');
    subject.proxy.watches('configmaps').freeze();
    await subject.make('relist-a');
    await subject.informer.relist();
    expect(subject.informer.store.size).toBe(1);
    await remove('relist-a');
    await subject.informer.relist();
    expect(subject.informer.store.size).toBe(0);
  });

  test('goes on from where it was when its watch breaks, without a list', async (context) => {
    const subject = await Subject.start(context, 'broken');
    await subject.make('broken-a');
    await subject.shows('broken-a');
    subject.proxy.watches('configmaps').cut();
    await subject.make('broken-b');
    await remove('broken-a');
    await subject.shows('broken-b');
    expect(subject.proxy.count(({ what }) => what === 'STREAM configmaps')).toBe(1);
  });

  test.for(['as an event', 'as an answer'])(
    'lists afresh when its version has expired (410 %s)',
    async (how, context) => {
      const name = how === 'as an event' ? 'gone-event' : 'gone-answer';
      const subject = await Subject.start(context, name);
      await subject.make(`${name}-a`);
      await subject.shows(`${name}-a`);
      const { proxy } = subject;
      const stuck = proxy.when(
        ({ watch }) => watch,
        how === 'as an event' ? 'lose-request' : { status: 410, asStatus: 'Expired' },
      );
      if (how === 'as an event') proxy.watches('configmaps').endWith(410);
      else proxy.watches('configmaps').cut();
      await remove(`${name}-a`);
      await subject.make(`${name}-b`);
      await subject.shows(`${name}-b`);
      stuck.end();
      await subject.make(`${name}-c`);
      await subject.shows(`${name}-b`, `${name}-c`);
      expect((await subject.lists('expired')) + (await subject.lists('broken'))).toBeGreaterThan(0);
    },
  );

  test('does not trust a connection that has gone silent', async (context) => {
    const subject = await Subject.start(context, 'silent', { silenceMs: 1500 });
    subject.proxy.watches('configmaps').mute();
    await subject.make('silent-a');
    await subject.shows('silent-a');
    // The next watch may be silent for as long, when nothing comes of it but what is awaited here.
    expect(await subject.lists('silent')).toBeGreaterThan(0);
  });

  test('comes back when the server turns lists away', async (context) => {
    const subject = await Subject.start(context, 'turned-away');
    const storm = subject.proxy.when(({ resource }) => resource === 'configmaps', { status: 429, retryAfter: 1 });
    subject.proxy.watches('configmaps').cut();
    await subject.make('turned-away-a');
    await storm.struck;
    storm.end();
    await subject.shows('turned-away-a');
    expect(storm.hits).toBeLessThan(5);
  });
});
