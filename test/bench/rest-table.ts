import { decimal, table } from './markdown.ts';
import type { RestLeg } from './rest-leg.ts';
import { SPREAD, spread, type Runs } from './runs.ts';

/** The legs of one load on the REST API, as many as it was repeated. */
export type RestRuns = Runs<RestLeg>;

/** How long callers waited, what they were told, and what that took of the gateway. */
export function restTables(all: readonly RestRuns[]): string {
  return [
    '### From `POST /start` to its answer, in milliseconds',
    table(
      ['requests', 'p50', 'p90', 'p99', 'max', 'sent late max', 'answers (all runs)'],
      all.map((runs) => [
        runs.name,
        ...(['p50', 'p90', 'p99', 'max'] as const).map((key) => spread(runs, ({ times }) => times[key])),
        spread(runs, ({ lateness }) => lateness.max),
        answersOf(runs),
      ]),
    ),
    'The times are those of the answers that were wanted: 200, or at capacity 429.',
    '### What that takes of the gateway',
    table(
      [
        'per request',
        'CPU ms until the last answer',
        'CPU ms until the sessions are gone',
        'requests to the API server',
        'then RSS MiB',
        'of it anonymous',
      ],
      all.map((runs) => {
        const each = (of: (leg: RestLeg) => number, digits: number): string =>
          spread(
            runs,
            (leg) => of(leg) / leg.options.count,
            (value) => decimal(value, digits),
          );
        return [
          runs.name,
          each(({ untilAnswered }) => 1000 * untilAnswered.cpuSeconds, 1),
          each(({ untilGone }) => 1000 * untilGone.cpuSeconds, 1),
          each(({ untilAnswered }) => untilAnswered.apiRequests, 2),
          spread(
            runs,
            ({ rssMiB }) => rssMiB,
            (value) => decimal(value, 0),
          ),
          spread(
            runs,
            ({ anonMiB }) => anonMiB,
            (value) => decimal(value, 0),
          ),
        ];
      }),
    ),
    SPREAD,
  ].join('\n\n');
}

/** `200 warm, 3 cold`, of all runs; the most frequent first. */
function answersOf({ legs }: RestRuns): string {
  const sums = new Map<string, number>();
  for (const { answers } of legs) {
    for (const [name, count] of answers) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}
