import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { PoolMemory } from './pool-memory.ts';

let clock: FakeClock;
let memory: PoolMemory;
beforeEach(() => {
  clock = new FakeClock();
  memory = new PoolMemory({ clock, random: () => 0.5 });
});

const look = ({ started = 0, ready = 0, ended = [] as string[] } = {}): void => memory.look({ started, ready, ended });
const quota = { reason: 'QuotaExceeded' as const, message: 'exceeded quota' };

/** How long until pods may be made again, found out by waiting. */
function waitsFor(longest = 400_000): number {
  for (let ms = 0; ms <= longest; ms += 50) {
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
    expect(memory.mayCreate()).toBe(true);
  });

  it('and each start puts that off, but not for ever', () => {
    let waited = 0;
    for (look({ started: 1 }); !memory.mayCreate(); look({ started: 1 })) {
      clock.advance(50);
      waited += 50;
    }
    expect(waited).toBe(500);
  });

  it('also those that start after the pool was filled up', () => {
    look({ started: 1 });
    clock.advance(100);
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
    expect(memory.wakeAfterMs(true)).toBeUndefined();
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
  it('makes the next wait, longer each time', () => {
    look({ ended: ['a'] });
    expect(waitsFor()).toBe(1000);
    look({ ended: ['a', 'b'] });
    expect(waitsFor()).toBe(2000);
  });

  it('counts once, however often it is seen', () => {
    look({ ended: ['a'] });
    waitsFor();
    look({ ended: ['a'] });
    expect(memory.mayCreate()).toBe(true);
  });

  it('does not count again when others have been removed', () => {
    look({ ended: ['a', 'b'] });
    waitsFor();
    look({ ended: ['b'] });
    expect(memory.mayCreate()).toBe(true);
  });
});

describe('pods beyond the target', () => {
  it('go when they have been too many for the whole cooldown', () => {
    expect(memory.cooledDown(2, 300)).toBe(0);
    expect(memory.wakeAfterMs(false)).toBe(300_000);
    clock.advance(299_999);
    expect(memory.cooledDown(2, 300)).toBe(0);
    clock.advance(1);
    expect(memory.cooledDown(2, 300)).toBe(2);
  });

  it('stay as far as they were needed in between', () => {
    memory.cooledDown(5, 300);
    clock.advance(100_000);
    memory.cooledDown(1, 300);
    clock.advance(200_000);
    expect(memory.cooledDown(5, 300)).toBe(1);
    // The other four were needed at 100 s or later, and have a cooldown of their own.
    clock.advance(299_000);
    expect(memory.cooledDown(4, 300)).toBe(0);
    clock.advance(1_000);
    expect(memory.cooledDown(4, 300)).toBe(4);
  });

  it('begin anew when none was too many', () => {
    memory.cooledDown(2, 300);
    clock.advance(200_000);
    expect(memory.cooledDown(0, 300)).toBe(0);
    expect(memory.wakeAfterMs(false)).toBeUndefined();
    memory.cooledDown(2, 300);
    clock.advance(299_000);
    expect(memory.cooledDown(2, 300)).toBe(0);
  });

  it('go at once without a cooldown', () => {
    expect(memory.cooledDown(3, 0)).toBe(3);
  });

  it('keep to a cooldown that has been changed meanwhile', () => {
    memory.cooledDown(2, 300);
    clock.advance(10_000);
    expect(memory.cooledDown(2, 10)).toBe(2);
  });
});
