import { describe, expect, it } from 'vitest';
import { KEEP_MS, planKeys } from './plan-keys.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const LONG_AGO = NOW - KEEP_MS;

/** Keys, newest first, each made so long before now. */
const keys = (made: Record<string, number>) => Object.entries(made).map(([kid, createdAt]) => ({ kid, createdAt }));
const pods = (...kids: string[][]): ReadonlySet<string>[] => kids.map((list) => new Set(list));
const plan = (made: Record<string, number>, kidsInUse: ReadonlySet<string>[] | undefined, rotate = false) =>
  planKeys({ keys: keys(made), keepMs: KEEP_MS, rotate, kidsInUse, now: NOW });

describe('the keys', () => {
  it('stay as they are while nobody asks for anything, whatever their age', () => {
    expect(plan({ a: 0 }, [])).toBeUndefined();
    expect(plan({ a: 0 }, pods(['a'], ['unknown'], []))).toBeUndefined();
  });

  it('are headed by a new one when that is asked for, and the one of before stays', () => {
    expect(plan({ a: 0 }, [], true)).toEqual({ make: true, keep: ['a'] });
  });
});

describe('an old key', () => {
  it('stays for ten minutes after a newer one came: a pod with it may be on its way', () => {
    expect(plan({ b: LONG_AGO + 1, a: 0 }, [])).toBeUndefined();
    expect(plan({ b: LONG_AGO, a: 0 }, [])).toEqual({ make: false, keep: ['b'] });
  });

  it('stays for ten minutes after the next newer one came, however many came since', () => {
    expect(plan({ c: NOW, b: LONG_AGO, a: 0 }, pods(['c', 'b', 'a']))).toEqual({ make: false, keep: ['c', 'b'] });
  });

  it('stays while a live pod trusts no newer one', () => {
    expect(plan({ b: LONG_AGO, a: 0 }, pods(['b', 'a'], ['a']))).toBeUndefined();
    expect(plan({ b: LONG_AGO, a: 0 }, pods(['b', 'a'], ['b']))).toEqual({ make: false, keep: ['b'] });
  });

  it('goes when pods that trust it also trust another that stays', () => {
    const made = { c: LONG_AGO, b: LONG_AGO, a: 0 };
    expect(plan(made, pods(['b', 'a']))).toEqual({ make: false, keep: ['c', 'b'] });
    expect(plan(made, pods(['c', 'b', 'a'], ['a']))).toEqual({ make: false, keep: ['c', 'a'] });
  });

  it('is judged by the keys of its own Secret: a pod trusts others as well, or none of these', () => {
    expect(plan({ b: LONG_AGO, a: 0 }, pods(['b', 'a', 'g'], ['g']))).toEqual({ make: false, keep: ['b'] });
    expect(plan({ b: LONG_AGO, a: 0 }, pods(['a', 'g']))).toBeUndefined();
  });

  it('stays while not all pods can be seen', () => {
    expect(plan({ b: LONG_AGO, a: 0 }, undefined)).toBeUndefined();
  });

  it('stays while the newer one is from the future: some clock is wrong', () => {
    expect(plan({ b: NOW + KEEP_MS, a: 0 }, [])).toBeUndefined();
  });
});
