import { createKey } from '../../support/gateway-process.ts';
import { openLoop } from '../open-loop.ts';
import { ms } from '../markdown.ts';
import { readGatewayCounters } from '../gateway-counters.ts';
import { runRestLeg, type RestLeg, type RestLegOptions } from '../rest-leg.ts';
import { restTables, type RestRuns } from '../rest-table.ts';
import { warmPool } from '../workload.ts';
import type { Bed } from '../bed.ts';
import type { Scenario } from './scenario.ts';

const POOL = 200;
/** As many sessions as fill the Agent that is at capacity. */
const FULL = 50;

interface Load extends Pick<RestLegOptions, 'load' | 'count'> {
  name: string;
  /** Default: a new one for each request, as the official client makes them. */
  connections?: RestLegOptions['connections'];
}

const ONE_BY_ONE = { atOnce: 1 };

/** Starts alone: the sessions outlive the leg, as calls do. */
const STARTS: Load[] = [
  { name: 'one by one', load: ONE_BY_ONE, count: 200 },
  { name: 'one by one, one connection', load: ONE_BY_ONE, count: 200, connections: 'kept' },
  { name: '50 at once', load: { atOnce: 50 }, count: 50 },
];

/** Whole lives: as many sessions end as others start. */
const LIVES: Load[] = [10, 20].map((perSecond) => ({
  name: `Poisson ${perSecond}/s, each for 5 s`,
  load: { perSecond, arrivals: 'poisson' },
  count: perSecond * 30,
}));

/** Starts of an Agent that is full. */
const REFUSALS: Load[] = [
  { name: 'at capacity, one by one', load: ONE_BY_ONE, count: 200 },
  { name: 'at capacity, one by one, one connection', load: ONE_BY_ONE, count: 200, connections: 'kept' },
  { name: 'at capacity, 20 at once', load: { atOnce: 20 }, count: 400 },
];

export const restStart: Scenario = {
  title: 'POST /start to its answer: warm, one by one, 50 at once, at 10 and 20 per second, and at capacity',
  async run(bed, { quick, repeat, load: wanted, log }) {
    await bed.startController();
    const gateway = await bed.startGateway();
    const key = await createKey(bed.cluster, bed.namespace, 'Public');
    const first = await readGatewayCounters(gateway);
    const done: (RestRuns & { legs: RestLeg[] })[] = [];

    const measure = async (all: Load[], agent: string, options: Pick<RestLegOptions, 'wanted' | 'warmPool'>) => {
      const loads = all.filter(({ name }) => name.includes(wanted));
      const leg = ({ load, count, connections = 'new' }: Omit<Load, 'name'>): Promise<RestLeg> =>
        runRestLeg(bed, gateway, { ...options, agent, key, load, count, connections });
      log('warming up');
      await leg({ load: { perSecond: 10, arrivals: 'even' }, count: quick ? 10 : 100 });
      const runs = loads.map(({ name }) => ({ name, legs: [] as RestLeg[] }));
      for (let round = 0; round < repeat; round++) {
        for (const [index, load] of loads.entries()) {
          const result = await leg({ ...load, count: quick ? Math.min(load.count, 20) : load.count });
          log(`${load.name}: p50 ${ms(result.times.p50)} ms, p99 ${ms(result.times.p99)} ms`);
          runs[index]?.legs.push(result);
        }
      }
      done.push(...runs);
    };
    const isWanted = (loads: Load[]): boolean => loads.some(({ name }) => name.includes(wanted));

    const outlive = quick ? 10_000 : 45_000;
    const warm = [
      { agent: 'long', loads: STARTS, runMs: { least: outlive, most: outlive + 5000 } },
      { agent: 'short', loads: LIVES, runMs: { least: 5000, most: 5000 } },
    ];
    for (const { agent, loads, runMs } of warm.filter(({ loads }) => isWanted(loads))) {
      await bed.createAgent({ name: agent, runMs, keepNothing: true, spec: warmPool(POOL) });
      await bed.rest(POOL);
      await measure(loads, agent, { wanted: 200, warmPool: POOL });
      await bed.deleteAgent(agent);
    }
    if (isWanted(REFUSALS)) {
      await fill(bed, 'full');
      await measure(REFUSALS, 'full', { wanted: 429, warmPool: undefined });
    }
    const memory = `When it began to serve, the gateway had ${first.rssMiB.toFixed(0)} MiB, of which ${first.anonMiB.toFixed(0)} anonymous.`;
    return [restTables(done), memory].join('\n\n');
  },
};

/** An Agent with as many sessions as it may have, that go on until the end. */
async function fill(bed: Bed, agent: string): Promise<void> {
  const scaling = { minAgents: FULL, maxAgents: FULL };
  await bed.createAgent({ name: agent, spec: { protocol: 'Http', scaling } });
  await bed.rest(FULL);
  const send = (index: number): Promise<void> => bed.createSession(`${agent}-${index}`, agent);
  await openLoop({ perSecond: 20, arrivals: 'even', count: FULL, send });
  await bed.running(FULL);
}
