import { expect, it } from 'vitest';
import { Backoff } from './backoff.ts';
import { FakeClock } from './testing/fake-clock.ts';

it('a delay doubles up to the longest delay, shortened at random by up to half, and resets after a good time', () => {
  const clock = new FakeClock();
  const options = { baseMs: 100, maxMs: 350, resetAfterMs: 1000 };
  const full = new Backoff(options, clock, () => 1);
  expect([full.next(), full.next(), full.next(), full.next()]).toEqual([100, 200, 350, 350]);
  clock.advance(1351);
  expect(full.next()).toBe(100);
  const half = new Backoff(options, clock, () => 0);
  expect(Array.from({ length: 2000 }, () => half.next()).at(-1)).toBe(175);
});
