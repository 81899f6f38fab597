import { costs } from '../costs-table.ts';
import { runLeg, type Leg, type LegOptions } from '../leg.ts';
import { decimal, ms, table } from '../markdown.ts';
import { SPREAD, spread, type Runs } from '../runs.ts';
import { warmPool } from '../workload.ts';
import type { Scenario } from './scenario.ts';

const POOL = 200;

interface Load extends Pick<LegOptions, 'load'> {
  name: string;
  count: number;
}

const ALL_AT_ONCE = { perSecond: Infinity, arrivals: 'even' } as const;

/** Starts alone: the sessions outlive the leg, as calls do. One by one: the next when the one before is Running. */
const STARTS: Load[] = [
  { name: 'isolated, one every 400 ms', load: { perSecond: 2.5, arrivals: 'even' }, count: 100 },
  { name: 'one by one', load: 'one by one', count: 200 },
  { name: '50 at once', load: ALL_AT_ONCE, count: 50 },
  { name: '100 at once', load: ALL_AT_ONCE, count: 100 },
];

/** Whole lives: as many sessions end as others start. */
const LIVES: Load[] = [10, 20, 40].map((perSecond) => ({
  name: `Poisson ${perSecond}/s, each for 5 s`,
  load: { perSecond, arrivals: 'poisson' },
  count: perSecond * (perSecond === 40 ? 30 : 60),
}));

export const warm: Scenario = {
  title: `warm starts of protocol Http from a pool of ${POOL}: isolated, one by one, in bursts, and at 10, 20 and 40 per second`,
  async run(bed, { quick, repeat, load: wanted, log }) {
    const controller = await bed.startController();
    const done: (Runs & { legs: Leg[] })[] = [];
    const measure = async (agent: string, runMs: { least: number; most: number }, all: Load[]): Promise<void> => {
      const loads = all.filter(({ name }) => name.includes(wanted));
      if (loads.length === 0) return;
      const spec = warmPool(POOL);
      await bed.createAgent({ name: agent, runMs, keepNothing: true, spec });
      await bed.rest(POOL);
      const leg = (name: string, load: LegOptions['load'], count: number): Promise<Leg> =>
        runLeg(bed, controller, { name: `${agent}-${name}`, agent, load, count, warmPool: POOL, watchPods: false });
      log('warming up');
      await leg('warm-up', { perSecond: 10, arrivals: 'even' }, quick ? 10 : 100);
      const runs = loads.map(({ name }) => ({ name, legs: [] as Leg[] }));
      for (let round = 0; round < repeat; round++) {
        for (const [index, { name, load, count }] of loads.entries()) {
          const result = await leg(`r${round}-l${index}`, load, quick ? Math.min(count, 20) : count);
          log(`${name}: Running p50 ${ms(result.toRunning.p50)} ms, p99 ${ms(result.toRunning.p99)} ms`);
          runs[index]?.legs.push(result);
        }
      }
      done.push(...runs);
      await bed.deleteAgent(agent);
    };
    const outlive = quick ? 10_000 : 45_000;
    await measure('long', { least: outlive, most: outlive + 5000 }, STARTS);
    await measure('short', { least: 5000, most: 5000 }, LIVES);
    return [latencies(done), costs(done)].join('\n\n');
  },
};

function latencies(all: readonly Runs[]): string {
  const rows = all.map((runs) => {
    const sum = (of: (leg: Leg) => number): string =>
      decimal(
        runs.legs.reduce((count, leg) => count + of(leg), 0),
        0,
      );
    return [
      `${runs.name}, ${runs.legs[0]?.options.count ?? 0} Sessions`,
      ...(['p50', 'p90', 'p99', 'max'] as const).map((key) => spread(runs, (leg) => leg.toRunning[key])),
      spread(runs, (leg) => leg.allRunningMs),
      ...(['p50', 'p99'] as const).map((key) => spread(runs, (leg) => leg.toBot[key])),
      spread(runs, (leg) => leg.toSession.p50),
      spread(runs, (leg) => leg.countedToRunning.reconciles.get('agent') ?? 0, String),
      spread(runs, (leg) => (1000 * leg.countedToRunning.cpuSeconds) / leg.options.count),
      spread(runs, (leg) => leg.lateness.max),
      sum(({ startKinds, options }) => options.count - (startKinds.get('Warm') ?? 0)),
      sum(({ reasons, options }) => options.count - (reasons.get('Completed') ?? 0)),
    ];
  });
  const head = [
    'warm starts',
    'Running p50',
    'p90',
    'p99',
    'max',
    'all Running',
    '`/bot` p50',
    'p99',
    'Session seen p50',
    'agent passes until then',
    'controller CPU until then, per Session',
    'sent late max',
    'not warm (all runs)',
    'not Completed (all runs)',
  ];
  return [
    '### From the create call of a Session to Running, and to `POST /bot`, in milliseconds',
    table(head, rows),
    SPREAD,
  ].join('\n\n');
}
