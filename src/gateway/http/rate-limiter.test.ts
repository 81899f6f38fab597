import { describe, expect, it } from 'vitest';
import { Problem } from '../problems.ts';
import { RateLimiter } from './rate-limiter.ts';

describe('a rate', () => {
  let now = 0;
  const limiter = (): RateLimiter => new RateLimiter({ perSecond: 2, burst: 3 }, () => now);
  const takes = (from: RateLimiter, caller = 'a'): number => {
    for (let count = 0; ; count += 1) {
      try {
        from.take(caller);
      } catch (error) {
        expect(error).toBeInstanceOf(Problem);
        return count;
      }
    }
  };

  it('allows a burst, and then so many a second', () => {
    const rate = limiter();
    expect(takes(rate)).toBe(3);
    now += 1000;
    expect(takes(rate)).toBe(2);
    now += 60_000;
    expect(takes(rate)).toBe(3);
  });

  it('is what somebody gets who asks for much more', () => {
    const rate = limiter();
    takes(rate);
    let served = 0;
    for (let ms = 0; ms < 10_000; ms += 10) {
      now += 10;
      try {
        rate.take('a');
        served += 1;
      } catch {
        // Too many.
      }
    }
    expect(served).toBeGreaterThanOrEqual(19);
    expect(served).toBeLessThanOrEqual(20);
  });

  it('is each caller’s own', () => {
    const rate = limiter();
    expect([takes(rate, 'a'), takes(rate, 'b')]).toEqual([3, 3]);
  });

  it('says when to come back', () => {
    const rate = limiter();
    takes(rate);
    now += 100;
    expect(() => rate.take('a')).toThrow(expect.objectContaining({ retryAfterSeconds: 0.4 }) as Error);
  });

  it('remembers the callers of late, and not all that there ever were', () => {
    const rate = limiter();
    takes(rate, 'first');
    for (let caller = 0; caller < 20_000; caller += 1) rate.take(String(caller));
    expect(takes(rate, 'first')).toBe(3);
    expect(takes(rate, '19999')).toBe(2);
  });
});
