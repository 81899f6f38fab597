import { countWrites } from './audit-log.ts';
import type { Leg } from './leg.ts';
import { decimal, table } from './markdown.ts';
import { total } from './prometheus.ts';
import { sessionsOf, spread, type Runs } from './runs.ts';

/** What a Session costs, from its create call to its last trace, and who writes what for it. */
export function costs(all: readonly Runs[]): string {
  const rows = all.map((runs) => {
    const per = (of: (leg: Leg) => number, digits = 2): string =>
      spread(
        runs,
        (leg) => of(leg) / leg.options.count,
        (value) => decimal(value, digits),
      );
    const passes = (loop: string): ((leg: Leg) => number) => {
      return ({ counted }) => counted.reconciles.get(loop) ?? 0;
    };
    return [
      runs.name,
      per(({ counted }) => countWrites(counted.writes, 'controller')),
      per(({ counted }) => counted.controllerReads),
      per(({ counted }) => countWrites(counted.writes)),
      per(({ counted }) => counted.etcdPuts),
      per(passes('agent'), 1),
      per(passes('session'), 1),
      per(({ counted }) => total(counted.reconciles), 1),
      per(({ counted }) => 1000 * counted.cpuSeconds, 1),
    ];
  });
  const head = [
    'per Session',
    'writes by the controller',
    'its reads',
    'writes in all',
    'etcd puts',
    'agent passes',
    'session passes',
    'all reconciliations',
    'controller CPU ms',
  ];
  return ['### What a Session costs', table(head, rows), 'Writes are counted without leases.', writesTables(all)].join(
    '\n\n',
  );
}

function writesTables(all: readonly Runs[]): string {
  const failures = countsTable(
    all,
    'mutations that failed (all runs)',
    (leg) => leg.counted.failures,
    (count) => decimal(count, 0),
  );
  return [
    countsTable(
      all,
      'mutations at the API server per Session',
      (leg) => leg.counted.writes,
      (count, runs) => decimal(count / sessionsOf(runs), 3),
    ),
    failures ?? 'No mutation failed.',
  ].join('\n\n');
}

/** A row for each thing that was counted, by sender, and a column for each load. */
function countsTable(
  all: readonly Runs[],
  what: string,
  countsOf: (leg: Leg) => ReadonlyMap<string, number>,
  format: (count: number, runs: Runs) => string,
): string | undefined {
  const sum = ({ legs }: Runs, name: string): number =>
    legs.reduce((count, leg) => count + (countsOf(leg).get(name) ?? 0), 0);
  const names = new Set(all.flatMap(({ legs }) => legs.flatMap((leg) => [...countsOf(leg).keys()])));
  if (names.size === 0) return undefined;
  const senderOf = (name: string): string => name.slice(name.lastIndexOf('('));
  const rows = [...names]
    .sort((a, b) => senderOf(a).localeCompare(senderOf(b)) || a.localeCompare(b))
    .map((name) => [name, ...all.map((runs) => format(sum(runs, name), runs))]);
  return table([what, ...all.map(({ name }) => name)], rows);
}
