import { costs } from '../costs-table.ts';
import { runLeg, type Leg } from '../leg.ts';
import { ms, table } from '../markdown.ts';
import { SPREAD, spread, type Runs } from '../runs.ts';
import type { Scenario } from './scenario.ts';

/** Sessions that outlive their leg: only starts are measured, as when calls last for minutes. */
const LONG = { agent: 'long', runMs: { least: 25_000, most: 30_000 } };
/** Sessions that end as fast as others start: the API server has all the work of a whole life at this rate. */
const SHORT = { agent: 'short', runMs: { least: 2000, most: 5000 } };

const LEG_SECONDS = 20;

/** Rates of a quiet, a busy and a very busy installation; the last one once more, as independent callers come. */
const LOADS = [
  { perSecond: 1, arrivals: 'even', agent: LONG.agent },
  { perSecond: 10, arrivals: 'even', agent: LONG.agent },
  { perSecond: 20, arrivals: 'even', agent: LONG.agent },
  { perSecond: 20, arrivals: 'poisson', agent: LONG.agent },
  { perSecond: 10, arrivals: 'even', agent: SHORT.agent },
  { perSecond: 20, arrivals: 'even', agent: SHORT.agent },
] as const;

type Load = (typeof LOADS)[number];

export const start: Scenario = {
  title: 'how fast a Session gets its pod at 1, 10 and 20 per second, and what that costs the API server',
  async run(bed, { quick, repeat, log }) {
    const controller = await bed.startController();
    for (const { agent, runMs } of [LONG, SHORT]) await bed.createAgent({ name: agent, runMs, keepNothing: true });
    const leg = (name: string, { agent, ...load }: Load, seconds: number): Promise<Leg> =>
      runLeg(bed, controller, { name, agent, load, count: Math.round(load.perSecond * seconds), warmPool: 0 });
    log('warming up');
    await leg('warm-up', { perSecond: 10, arrivals: 'even', agent: SHORT.agent }, 10);

    const all = LOADS.map((load) => ({ name: describe(load), legs: [] as Leg[] }));
    for (let round = 0; round < repeat; round++) {
      // Interleaved, so that a change of the machine's mood does not look like one of the rate.
      for (const [index, load] of LOADS.entries()) {
        const done = await leg(`r${round}-l${index}`, load, quick ? 5 : LEG_SECONDS);
        log(`${describe(load)}: pod p50 ${ms(done.toPod.p50)} ms, p99 ${ms(done.toPod.p99)} ms`);
        all[index]?.legs.push(done);
      }
    }
    return [latencies(all), costs(all)].join('\n\n');
  },
};

function latencies(all: readonly Runs[]): string {
  const rows = all.map((runs) => [
    `${runs.name}, ${runs.legs[0]?.options.count ?? 0} Sessions`,
    ...(['p50', 'p90', 'p99', 'max'] as const).map((key) => spread(runs, (leg) => leg.toPod[key])),
    spread(runs, (leg) => leg.toSession.p50),
    ...(['p50', 'p99'] as const).map((key) => spread(runs, (leg) => leg.toRunning[key])),
    spread(runs, (leg) => leg.lateness.max),
  ]);
  return [
    '### From the create call of a Session to its pod, in milliseconds',
    table(
      ['rate', 'p50', 'p90', 'p99', 'max', 'Session seen p50', 'Running p50', 'Running p99', 'sent late max'],
      rows,
    ),
    SPREAD,
  ].join('\n\n');
}

function describe({ perSecond, arrivals, agent }: Load): string {
  const ends = agent === SHORT.agent ? `, and as many end` : '';
  return `${perSecond} start per second${arrivals === 'poisson' ? ', at random (Poisson)' : ''}${ends}`;
}
