import { expect, test } from 'vitest';
import type { RestLeg } from './rest-leg.ts';
import { restTables } from './rest-table.ts';
import { summarize } from './statistics.ts';

function leg({ times = [20, 30], warm = 2, cold = 0 } = {}): RestLeg {
  const cpuSeconds = 0.01;
  return {
    options: {
      agent: 'echo',
      key: 'pk_1',
      count: 2,
      load: { atOnce: 1 },
      connections: 'new',
      wanted: 200,
      warmPool: 0,
    },
    times: summarize(times),
    answers: new Map(Object.entries({ warm, ...(cold > 0 && { cold }) })),
    lateness: summarize([]),
    untilAnswered: { cpuSeconds, apiRequests: 2 },
    untilGone: { cpuSeconds: 2 * cpuSeconds, apiRequests: 2 },
    rssMiB: 101,
    anonMiB: 55,
  };
}

test('times are the middle of the runs, answers the sum of all', () => {
  const legs = [leg(), leg({ times: [40, 50], warm: 1, cold: 1 }), leg({ times: [10, 60] })];
  expect(restTables([{ name: 'one by one', legs }])).toContain(
    '| one by one | 20 (10–40) | 50 (30–60) | 50 (30–60) | 50 (30–60) | – | 5 warm, 1 cold |',
  );
});

test('what the gateway takes is told per request', () => {
  expect(restTables([{ name: 'one by one', legs: [leg()] }])).toContain(
    '| one by one | 5.0 | 10.0 | 1.00 | 101 | 55 |',
  );
});
