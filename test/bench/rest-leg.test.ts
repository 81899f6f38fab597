import { expect, test } from 'vitest';
import { tally } from './rest-leg.ts';

test('a start counts by how it was made, everything else by its status and code', () => {
  const answer = (status: number | string, body: Record<string, unknown> = {}) => ({ status, body, ms: 1 });
  const answers = [
    answer(200, { start: 'warm' }),
    answer(200, { start: 'cold' }),
    answer(200, { start: 'warm' }),
    answer(429, { code: 'PCC-AGENT-AT-CAPACITY' }),
    answer('ECONNRESET'),
  ];
  expect(Object.fromEntries(tally(answers))).toEqual({
    warm: 2,
    cold: 1,
    '429 PCC-AGENT-AT-CAPACITY': 1,
    ECONNRESET: 1,
  });
});
