import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { PoolMemory } from './pool-memory.ts';

let clock: FakeClock;
let memory: PoolMemory;
beforeEach(() => {
  clock = new FakeClock();
  memory = new PoolMemory({ clock, random: () => 0.5 });
});

const look = ({ started = 0, ready = 0, ended = [] as string[] } = {}): void =>
  memory.look({ started, ready, ended: ended.map((uid) => ({ uid, why: `${uid} died` })) });
const quota = { reason: 'QuotaExceeded' as const, message: 'exceeded quota' };

/** How long until pods may be made again, found out by looking again and again at what has not changed. */
function waitsFor(seen: Parameters<typeof look>[0] = {}, longest = 400_000): number {
  for (let ms = 0; ms <= longest; ms += 50) {
    look(seen);
    if (memory.mayCreate()) return ms;
    clock.advance(50);
  }
  return Infinity;
}

describe('sessions come first', () => {
  it('so the pool is filled up a moment after the last start', () => {
    look({ started: 1 });
    expect(memory.mayCreate()).toBe(false);
    expect(memory.wakeAfterMs(true)).toBe(100);
    clock.advance(100);
    look();
    expect(memory.mayCreate()).toBe(true);
  });

  it('and each start puts that off, but not for ever', () => {
    let waited = 0;
    look({ started: 1 });
    for (; !memory.mayCreate(); waited += 50) {
      clock.advance(50);
      look({ started: 1 });
    }
    expect(waited).toBe(500);
  });

  it('also those that start after the pool was filled up', () => {
    look({ started: 1 });
    clock.advance(100);
    look();
    memory.creates();
    look({ started: 1 });
    expect(waitsFor()).toBe(100);
  });

  it('and a start long ago does not count towards the longest wait', () => {
    look({ started: 1 });
    clock.advance(5000);
    look();
    look({ started: 1 });
    expect(waitsFor()).toBe(100);
  });

  it('while nothing has started there is nothing to wait for', () => {
    look();
    expect(memory.mayCreate()).toBe(true);
    expect(memory.wakeAfterMs(false)).toBeUndefined();
  });
});

describe('one look', () => {
  it('sees one moment, however long it takes: what it puts off is looked at again', () => {
    look({ started: 1 });
    clock.advance(99);
    expect(memory.mayCreate()).toBe(false);
    // In between the time has come; had only one of the two noticed, nobody would look again.
    clock.advance(1);
    expect(memory.mayCreate()).toBe(false);
    expect(memory.wakeAfterMs(true)).toBe(100);
  });

  it('is never asked for at once, which would go on without end', () => {
    look({ started: 1 });
    clock.advance(100);
    look();
    expect(memory.wakeAfterMs(true)).toBe(1);
    clock.advance(60_000);
    look();
    expect(memory.wakeAfterMs(true)).toBe(1);
  });

  it('comes when a cooldown ends, also where the time for it has passed meanwhile', () => {
    look();
    memory.cooledDown(2, 300);
    clock.advance(299_999.5);
    look();
    expect(memory.cooledDown(2, 300)).toBe(0);
    clock.advance(0.5);
    expect(memory.wakeAfterMs(false)).toBe(1);
  });
});

describe('a pod that could not be made', () => {
  it('is tried again ever more slowly, up to five minutes', () => {
    const waits = Array.from({ length: 11 }, () => {
      memory.failed(quota);
      return waitsFor();
    });
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(waits.at(-1)).toBe(300_000);
  });

  it('is one failure with all that failed at the same time', () => {
    for (let i = 0; i < 10; i += 1) memory.failed(quota);
    expect(waitsFor()).toBe(1000);
  });

  it('is a problem until one was made', () => {
    memory.failed(quota);
    expect(memory.problem).toEqual(quota);
    memory.created();
    expect(memory.problem).toBeUndefined();
  });

  it('is tried again soon after the pool was well', () => {
    for (let i = 0; i < 4; i += 1) {
      memory.failed(quota);
      waitsFor();
    }
    memory.created();
    look({ ready: 1 });
    memory.failed(quota);
    expect(waitsFor({ ready: 1 })).toBe(1000);
  });

  it('is tried again ever more slowly also while others are ready', () => {
    look({ ready: 3 });
    const waits = Array.from({ length: 3 }, () => {
      memory.failed(quota);
      return waitsFor({ ready: 3 });
    });
    expect(waits).toEqual([1000, 2000, 4000]);
  });

  it('holds from the moment when that is known, not from the look before', () => {
    look();
    clock.advance(30_000);
    memory.failed(quota);
    expect(memory.mayCreate()).toBe(false);
    expect(waitsFor()).toBe(1000);
  });

  it('wakes the pool when it is to be tried again', () => {
    memory.failed(quota);
    expect(memory.wakeAfterMs(true)).toBe(1000);
    expect(memory.wakeAfterMs(false)).toBeUndefined();
  });

  it('is not tried by all pools at the same time', () => {
    const other = new PoolMemory({ clock, random: () => 0.9 });
    memory.failed(quota);
    other.failed(quota);
    expect(other.wakeAfterMs(true)).not.toBe(memory.wakeAfterMs(true));
  });
});

describe('a pod that ended while it waited', () => {
  beforeEach(() => look());

  it('is no news where it had ended before anybody looked', () => {
    memory = new PoolMemory({ clock, random: () => 0.5 });
    look({ ended: ['a'] });
    expect([memory.problem, memory.mayCreate()]).toEqual([undefined, true]);
    look({ ended: ['a', 'b'] });
    expect(memory.problem).toMatchObject({ message: 'a warm pod ended: b died' });
  });

  it('is told, until another has become ready', () => {
    look({ ended: ['a'] });
    expect(memory.problem).toEqual({ reason: 'PodFailed', message: 'a warm pod ended: a died' });
    look({ ended: ['a'], ready: 1 });
    expect(memory.problem).toBeUndefined();
  });

  it('makes the next wait, longer each time', () => {
    expect(waitsFor({ ended: ['a'] })).toBe(1000);
    expect(waitsFor({ ended: ['a', 'b'] })).toBe(2000);
  });

  it('makes the next wait also where others are ready: they show nothing about the next', () => {
    look({ ready: 2 });
    const waits = ['a', 'b', 'c'].map((_, i, all) => waitsFor({ ready: 2, ended: all.slice(0, i + 1) }));
    expect(waits).toEqual([1000, 2000, 4000]);
  });

  it('is one of many that ended together', () => {
    expect(waitsFor({ ended: ['a', 'b', 'c'] })).toBe(1000);
    expect(waitsFor({ ended: ['b', 'c', 'd', 'e'] })).toBe(2000);
  });

  it('is forgotten when one more has become ready', () => {
    waitsFor({ ended: ['a'] });
    waitsFor({ ended: ['a', 'b'] });
    expect(waitsFor({ ready: 1, ended: ['a', 'b', 'c'] })).toBe(1000);
  });

  it('counts once, however often it is seen', () => {
    waitsFor({ ended: ['a'] });
    look({ ended: ['a'] });
    expect(memory.mayCreate()).toBe(true);
  });

  it('does not count again when others have been removed', () => {
    waitsFor({ ended: ['a', 'b'] });
    look({ ended: ['b'] });
    expect(memory.mayCreate()).toBe(true);
  });
});

describe('pods beyond the target', () => {
  /** How many may go at a look after `ms`. */
  function mayGo(surplus: number, { after = 0, seconds = 300 } = {}): number {
    clock.advance(after);
    look();
    return memory.cooledDown(surplus, seconds);
  }

  it('go when they have been too many for the whole cooldown', () => {
    expect(mayGo(2)).toBe(0);
    expect(memory.wakeAfterMs(false)).toBe(300_000);
    expect(mayGo(2, { after: 299_999 })).toBe(0);
    expect(mayGo(2, { after: 1 })).toBe(2);
  });

  it('stay as far as they were needed in between', () => {
    mayGo(5);
    mayGo(1, { after: 100_000 });
    expect(mayGo(5, { after: 200_000 })).toBe(1);
    // The other four were needed at 100 s or later, and have a cooldown of their own.
    expect(mayGo(4, { after: 299_000 })).toBe(0);
    expect(mayGo(4, { after: 1_000 })).toBe(4);
  });

  it('begin anew when none was too many', () => {
    mayGo(2);
    expect(mayGo(0, { after: 200_000 })).toBe(0);
    expect(memory.wakeAfterMs(false)).toBeUndefined();
    mayGo(2);
    expect(mayGo(2, { after: 299_000 })).toBe(0);
  });

  it('go at once without a cooldown', () => {
    expect(mayGo(3, { seconds: 0 })).toBe(3);
  });

  it('keep to a cooldown that has been changed meanwhile', () => {
    mayGo(2);
    expect(mayGo(2, { after: 10_000, seconds: 10 })).toBe(2);
  });
});
