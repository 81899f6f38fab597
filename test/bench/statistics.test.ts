import { expect, test } from 'vitest';
import { median, summarize } from './statistics.ts';

test('a percentile is one of the values, by nearest rank', () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  expect(summarize(values)).toEqual({ count: 200, p50: 100, p90: 180, p99: 198, max: 200 });
  expect(summarize([7])).toEqual({ count: 1, p50: 7, p90: 7, p99: 7, max: 7 });
});

test('of two runs the middle is the lesser', () => {
  expect(median([5, 3])).toBe(3);
});

test('there is no percentile of nothing', () => {
  expect(summarize([])).toEqual({ count: 0, p50: NaN, p90: NaN, p99: NaN, max: NaN });
});
