import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import {
  controllerCatalogue,
  gatewayCatalogue,
  labelMeanings,
  programCatalogue,
  type Catalogue,
  type MetricDefinition,
} from './catalogue.ts';
import { createControllerMetrics, createRegistry } from './metrics.ts';

const minutes = 60_000;
const bot = { namespace: 'calls', agent: 'bot' };
const counts = { active: 2, queued: 1, warm: 3, maxAgents: 50 };

function setup() {
  const registry = new Registry();
  const clock = { ms: 0 };
  const metrics = createControllerMetrics(registry, { now: () => clock.ms });
  const lines = async (part: string) => (await registry.metrics()).split('\n').filter((line) => line.includes(part));
  return { metrics, clock, lines };
}

test('every program tells its version and the state of its process', async () => {
  const text = await createRegistry({ version: '1.2.3' }).metrics();
  expect(text).toContain('bullpen_build_info{version="1.2.3"} 1');
  expect(text).toContain('process_resident_memory_bytes');
});

test('an Agent shows its numbers, and its usage starts at 0', async () => {
  const { metrics, lines } = setup();
  metrics.setAgent(bot, counts);
  expect(await lines('agent="bot"')).toEqual([
    'bullpen_session_seconds_total{namespace="calls",agent="bot"} 0',
    'bullpen_agent_active_sessions{namespace="calls",agent="bot"} 2',
    'bullpen_agent_queued_sessions{namespace="calls",agent="bot"} 1',
    'bullpen_agent_warm_pods{namespace="calls",agent="bot"} 3',
    'bullpen_agent_max_agents{namespace="calls",agent="bot"} 50',
  ]);
});

test('an ended Session counts once, with its seconds', async () => {
  const { metrics, lines } = setup();
  metrics.setAgent(bot, counts);
  metrics.sessionEnded(bot, { outcome: 'Completed', start: 'Cold', usedSeconds: 61.5 });
  metrics.sessionEnded(bot, { outcome: 'Completed', start: 'Cold', usedSeconds: 0.5 });
  expect(await lines('bullpen_sessions_total{')).toEqual([
    'bullpen_sessions_total{namespace="calls",agent="bot",outcome="Completed",start="Cold"} 2',
  ]);
  expect(await lines('bullpen_session_seconds_total{')).toEqual([
    'bullpen_session_seconds_total{namespace="calls",agent="bot"} 62',
  ]);
});

test('a refused Session counts with its reason and as an outcome', async () => {
  const { metrics, lines } = setup();
  metrics.sessionRejected(bot, 'AtCapacity');
  expect(await lines('agent="bot"')).toEqual([
    'bullpen_sessions_total{namespace="calls",agent="bot",outcome="Rejected",start="None"} 1',
    'bullpen_sessions_rejected_total{namespace="calls",agent="bot",reason="AtCapacity"} 1',
  ]);
});

test('a name that no Agent has does not become a label', async () => {
  const { metrics, lines } = setup();
  for (let i = 0; i < 5; i++) metrics.sessionRejected({ namespace: 'calls', agent: `typo-${i}` }, 'AgentNotFound');
  expect(await lines('reason="AgentNotFound"')).toEqual([
    'bullpen_sessions_rejected_total{namespace="calls",agent="",reason="AgentNotFound"} 5',
  ]);
});

test('times land in their histograms; times below zero, or not a number, count as zero', async () => {
  const { metrics, lines } = setup();
  metrics.sessionStarted('Cold', 0.004);
  metrics.sessionWaited(-3);
  metrics.sessionCut(Number.NaN);
  expect(await lines('bullpen_session_start_seconds_bucket{le="0.005",start="Cold"}')).toEqual([
    'bullpen_session_start_seconds_bucket{le="0.005",start="Cold"} 1',
  ]);
  expect(await lines('bullpen_session_wait_seconds_sum')).toEqual(['bullpen_session_wait_seconds_sum 0']);
  expect(await lines('bullpen_session_overtime_seconds_count')).toEqual(['bullpen_session_overtime_seconds_count 1']);
});

test('the gauges of a deleted Agent go at once, its counters ten minutes after their last change', async () => {
  const { metrics, clock, lines } = setup();
  metrics.setAgent(bot, counts);
  metrics.forgetAgent(bot);
  expect(await lines('agent="bot"')).toEqual(['bullpen_session_seconds_total{namespace="calls",agent="bot"} 0']);

  clock.ms += 9 * minutes;
  metrics.sessionEnded(bot, { outcome: 'Stopped', start: 'Warm', usedSeconds: 5 });
  clock.ms += 9 * minutes;
  expect(await lines('agent="bot"')).toHaveLength(2);
  clock.ms += 1 * minutes;
  expect(await lines('agent="bot"')).toEqual([]);
});

test('an Agent that is made again keeps its counters', async () => {
  const { metrics, clock, lines } = setup();
  metrics.setAgent(bot, counts);
  metrics.sessionEnded(bot, { outcome: 'Completed', start: 'Cold', usedSeconds: 7 });
  metrics.forgetAgent(bot);
  metrics.setAgent(bot, counts);
  clock.ms += 60 * minutes;
  expect(await lines('bullpen_session_seconds_total{')).toEqual([
    'bullpen_session_seconds_total{namespace="calls",agent="bot"} 7',
  ]);
});

test('Sessions of namespaces and Agents that come and go leave nothing behind', async () => {
  const { metrics, clock, lines } = setup();
  for (let i = 0; i < 1000; i++) {
    clock.ms += 1 * minutes;
    metrics.sessionRejected({ namespace: `n${i}`, agent: 'bot' }, 'AtCapacity');
  }
  expect(await lines('reason="AtCapacity"')).toHaveLength(10);
});

test('every label is explained, and none is left over', () => {
  const catalogues: Catalogue[] = [controllerCatalogue, gatewayCatalogue, programCatalogue];
  const definitions = catalogues.flatMap((catalogue) => Object.values(catalogue));
  const used = new Set(definitions.flatMap(({ labels }) => labels));
  expect(Object.keys(labelMeanings).sort()).toEqual([...used].sort());
});

test('names follow the conventions of Prometheus', () => {
  for (const { name, type } of Object.values(controllerCatalogue) as MetricDefinition[]) {
    expect(name).toMatch(/^bullpen_[a-z_]+$/);
    expect(name.endsWith('_total')).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
  }
});
