import { readFile } from 'node:fs/promises';
import type { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { metricsPage, renderMetricsPage } from './generate-metrics-doc.ts';
import { KubeMetrics } from '../src/kube/metrics.ts';
import { createGatewayMetrics } from '../src/telemetry/gateway-metrics.ts';
import { createControllerMetrics, createRegistry } from '../src/telemetry/metrics.ts';

test('docs/metrics.md is what the catalogues say (node scripts/generate-metrics-doc.ts)', async () => {
  expect(await readFile(metricsPage, 'utf8')).toBe(renderMetricsPage());
});

test('every metric that the programs register is on the page', () => {
  const registry: Registry = createRegistry({ version: 'test' });
  createControllerMetrics(registry);
  createGatewayMetrics(registry);
  new KubeMetrics(registry);
  const page = renderMetricsPage();
  const standard = /^(process|nodejs)_/;
  const names = registry.getMetricsAsArray().map(({ name }) => name);
  const missing = names.filter((name) => !standard.test(name) && !page.includes(`\`${name}\``));
  expect(names.length).toBeGreaterThan(30);
  expect(missing).toEqual([]);
});
