import { runLeg, type Leg, type LegOptions } from '../leg.ts';
import { decimal, ms, table } from '../markdown.ts';
import { total } from '../prometheus.ts';
import { median } from '../statistics.ts';
import { writesTable } from '../writes-table.ts';
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

export const start: Scenario = {
  title: 'how fast a Session gets its pod at 1, 10 and 20 per second, and what that costs the API server',
  async run(bed, { quick, repeat, log }) {
    const controller = await bed.startController();
    for (const { agent, runMs } of [LONG, SHORT]) await bed.createAgent({ name: agent, runMs, keepNothing: true });
    const leg = (
      name: string,
      load: Pick<LegOptions, 'perSecond' | 'arrivals' | 'agent'>,
      seconds: number,
    ): Promise<Leg> =>
      runLeg(bed, controller, { ...load, name, count: Math.round(load.perSecond * seconds), keepsNothing: true });
    log('warming up');
    await leg('warm-up', { perSecond: 10, arrivals: 'even', agent: SHORT.agent }, 10);

    const legs: Leg[][] = LOADS.map(() => []);
    for (let round = 0; round < repeat; round++) {
      // Interleaved, so that a change of the machine's mood does not look like one of the rate.
      for (const [index, load] of LOADS.entries()) {
        const done = await leg(`r${round}-l${index}`, load, quick ? 5 : LEG_SECONDS);
        log(`${describe(done)}: pod p50 ${ms(done.toPod.p50)} ms, p99 ${ms(done.toPod.p99)} ms`);
        legs[index]?.push(done);
      }
    }
    return [latencies(legs), costs(legs)].join('\n\n');
  },
};

function latencies(legs: readonly Leg[][]): string {
  const rows = legs.map((repeats) => [
    `${describe(repeats[0])}, ${repeats[0]?.options.count ?? 0} Sessions`,
    ...(['p50', 'p90', 'p99', 'max'] as const).map((key) => spread(repeats, (leg) => leg.toPod[key])),
    spread(repeats, (leg) => leg.toSession.p50),
    ...(['p50', 'p99'] as const).map((key) => spread(repeats, (leg) => leg.toRunning[key])),
    spread(repeats, (leg) => leg.lateness.max),
  ]);
  return [
    '### From the create call of a Session to its pod, in milliseconds',
    table(
      ['rate', 'p50', 'p90', 'p99', 'max', 'Session seen p50', 'Running p50', 'Running p99', 'sent late max'],
      rows,
    ),
    'Median of the runs, and in brackets the least and the greatest where there were several.',
  ].join('\n\n');
}

function costs(legs: readonly Leg[][]): string {
  const rows = legs.map((repeats) => {
    const per = (of: (leg: Leg) => number, digits = 2): string =>
      spread(
        repeats,
        (leg) => of(leg) / leg.options.count,
        (value) => decimal(value, digits),
      );
    return [
      describe(repeats[0]),
      per((leg) => total(leg.counted.controllerWrites)),
      per((leg) => leg.counted.controllerReads),
      per((leg) => total(leg.counted.writes)),
      per((leg) => leg.counted.etcdPuts),
      spread(
        repeats,
        (leg) => total(leg.counted.failures),
        (value) => decimal(value, 0),
      ),
      per((leg) => total(leg.counted.reconciles), 1),
      per((leg) => 1000 * leg.counted.cpuSeconds, 1),
    ];
  });
  const head = [
    'per Session',
    'writes by the controller',
    'its reads',
    'writes in all',
    'etcd puts',
    'failed writes (all of the run)',
    'reconciliations',
    'controller CPU ms',
  ];
  const all = legs.flat();
  return ['### What a Session costs', table(head, rows), writesTable(all)].join('\n\n');
}

function describe(leg: Leg | undefined): string {
  if (leg === undefined) return '';
  const { perSecond, arrivals, agent } = leg.options;
  const ends = agent === SHORT.agent ? `, and as many end` : '';
  return `${perSecond} start per second${arrivals === 'poisson' ? ', at random (Poisson)' : ''}${ends}`;
}

function spread(legs: readonly Leg[], of: (leg: Leg) => number, format: (value: number) => string = ms): string {
  const values = legs.map(of);
  const middle = format(median(values));
  return values.length < 2 ? middle : `${middle} (${format(Math.min(...values))}–${format(Math.max(...values))})`;
}
