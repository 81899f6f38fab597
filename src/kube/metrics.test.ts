import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { kubeMetricCatalogue, KubeMetrics } from './metrics.ts';

it('follows the conventions of Prometheus, and catalogues what it registers', async () => {
  const registry = new Registry();
  new KubeMetrics(registry);
  const registered = (await registry.getMetricsAsJSON()).map(({ name }) => name);
  expect(registered.sort()).toEqual(kubeMetricCatalogue.map(({ name }) => name).sort());
  for (const { name, type, help } of kubeMetricCatalogue) {
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    expect(help, name).toMatch(/\.$/);
  }
});

it('asks for sampled values at each scrape until told to stop', async () => {
  const registry = new Registry();
  const metrics = new KubeMetrics(registry);
  let value = 1;
  const stop = metrics.sample('queueDepth', { name: 'q' }, () => value);
  expect(await registry.metrics()).toContain('workqueue_depth{name="q"} 1');
  value = 2;
  expect(await registry.metrics()).toContain('workqueue_depth{name="q"} 2');
  stop();
  expect(await registry.metrics()).not.toContain('workqueue_depth{name="q"}');
});
