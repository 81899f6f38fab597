import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kubeMetricCatalogue } from '../src/kube/metrics.ts';
import {
  controllerCatalogue,
  gatewayCatalogue,
  labelMeanings,
  programCatalogue,
  type MetricDefinition,
} from '../src/telemetry/catalogue.ts';

/** The generated page. */
export const metricsPage = fileURLToPath(new URL('../docs/metrics.md', import.meta.url));

/** The page about all metrics, as Markdown, made from the catalogues that the programs register. */
export function renderMetricsPage(): string {
  const ours = [...Object.values(controllerCatalogue), ...Object.values(programCatalogue)];
  return `<!-- Generated from src/telemetry and src/kube: do not edit. \`node scripts/generate-metrics-doc.ts\` makes it anew. -->

# Metrics

The controller serves Prometheus metrics at \`/metrics\`, port 8080, through the Service \`<release>-controller\`; each pod of the gateway at its own
port 8080, which no Service shows. With \`metrics.serviceMonitor.enabled: true\` the chart makes a ServiceMonitor and a PodMonitor for them.

\`/healthz\` on the same port says whether the process should live, \`/readyz\` whether its caches are complete. Both list their checks.

## Sessions and Agents

Only the controller that leads has values here; its counters begin at 0 when it takes over, as those of any restarted process do.
No label carries a Session's name, so the number of series depends on the number of Agents only. When an Agent is deleted its
gauges go at once, and its counters ten minutes after their last change.

${table(ours)}

| label | meaning |
| --- | --- |
${Object.entries(labelMeanings)
  .map(([label, meaning]) => `| \`${label}\` | ${meaning} |`)
  .join('\n')}

Bounds of the buckets, in seconds:

${ours.filter(isHistogram).map(bucketLine).join('\n')}

## REST API

Each replica of the gateway counts for itself: add them up.

${table(Object.values(gatewayCatalogue))}

${Object.values(gatewayCatalogue).filter(isHistogram).map(bucketLine).join('\n')}

## Queries

| question | PromQL |
| --- | --- |
| Session minutes of each Agent in the last day | \`sum by (namespace, agent) (increase(bullpen_session_seconds_total[1d])) / 60\` |
| How full each Agent is | \`bullpen_agent_active_sessions / bullpen_agent_max_agents\` |
| Sessions refused per second, by reason | \`sum by (namespace, agent, reason) (rate(bullpen_sessions_rejected_total[5m]))\` |
| Share of Sessions that did not end well | \`sum(rate(bullpen_sessions_total{outcome=~"Failed\\|StartTimeout\\|OutOfMemory\\|Lost"}[1h])) / sum(rate(bullpen_sessions_total[1h]))\` |
| 99th percentile of the time to start | \`histogram_quantile(0.99, sum by (le, start) (rate(bullpen_session_start_seconds_bucket[5m])))\` |
| Sessions started over REST per second, and how | \`sum by (start) (rate(bullpen_gateway_start_seconds_count[5m]))\` |
| 99th percentile of a start over REST | \`histogram_quantile(0.99, sum by (le, start) (rate(bullpen_gateway_start_seconds_bucket[5m])))\` |
| Starts refused over REST per second, by reason | \`sum by (reason) (rate(bullpen_gateway_starts_refused_total[5m]))\` |
| Share of requests that failed through our fault | \`sum(rate(bullpen_gateway_requests_total{code=~"5.."}[5m])) / sum(rate(bullpen_gateway_requests_total[5m]))\` |
| Is there exactly one leader | \`sum(leader_election_master_status) == 1\` |

Usage in these counters is for dashboards. A counter loses what was not scraped when its process ends: for bills, add up what the status of
each Session records.

## Kubernetes kit

Names of controller-runtime and client-go, so that their dashboards and alerts work.

${table(kubeMetricCatalogue)}

## Process

Every program also has the standard metrics of [prom-client](https://github.com/siimon/prom-client): \`process_*\` (CPU, memory, file
descriptors) and \`nodejs_*\` (event loop lag, heap, garbage collection). \`nodejs_eventloop_lag_p99_seconds\` above one second means that the
lease is in danger.
`;
}

function table(definitions: readonly MetricDefinition[]): string {
  const rows = definitions.map(({ name, type, labels, help }) => {
    const names = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${names} | ${cell(help)} |`;
  });
  return ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function isHistogram({ type }: MetricDefinition): boolean {
  return type === 'histogram';
}

function bucketLine({ name, buckets = [] }: MetricDefinition): string {
  return `- \`${name}\`: ${buckets.join(', ')}`;
}

/** Text that may stand in a cell of a Markdown table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

if (import.meta.main) {
  await mkdir(dirname(metricsPage), { recursive: true });
  await writeFile(metricsPage, renderMetricsPage());
  console.log('wrote docs/metrics.md');
}
