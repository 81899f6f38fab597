import { expect, it } from 'vitest';
import { abortable, settlesWithin, sleep, systemClock } from './clock.ts';
import { FakeClock } from './testing/fake-clock.ts';

it('a sleep ends early, and leaves no timer, when its signal is aborted', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const slept = sleep(clock, 1000, stop.signal);
  stop.abort(new Error('enough'));
  await expect(slept).rejects.toThrow('enough');
  await expect(sleep(clock, 1000, stop.signal)).rejects.toThrow('enough');
  expect(clock.pendingTimers).toBe(0);
});

it('knows whether a promise settles in time', async () => {
  const clock = new FakeClock();
  const late = settlesWithin(clock, new Promise(() => undefined), 10);
  clock.advance(10);
  expect(await late).toBe(false);
  expect(await settlesWithin(clock, Promise.reject(new Error('no')), 10)).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

it('a promise can be given up', async () => {
  const stop = new AbortController();
  expect(await abortable(Promise.resolve(1), stop.signal)).toBe(1);
  const endless = abortable(new Promise(() => undefined), stop.signal);
  stop.abort('a reason that is no error');
  await expect(endless).rejects.toMatchObject({ message: 'aborted', cause: 'a reason that is no error' });
});

it('the system clock fires timers, and a cancelled one not', async () => {
  await new Promise<void>((resolve, reject) => {
    systemClock.setTimeout(() => reject(new Error('cancelled')), 0).cancel();
    systemClock.setTimeout(resolve, 1);
  });
  expect(systemClock.monotonic()).toBeGreaterThan(0);
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000);
});

it('a fake clock fires timers in order, those set on the way too', () => {
  const clock = new FakeClock(1000);
  const fired: string[] = [];
  clock.setTimeout(() => fired.push(`b ${clock.monotonic()}`), 20);
  clock.setTimeout(() => {
    fired.push(`a ${clock.monotonic()}`);
    clock.setTimeout(() => fired.push(`c ${clock.now()}`), 15);
  }, 10);
  clock.advance(30);
  expect(fired).toEqual(['a 10', 'b 20', 'c 1025']);
  clock.setWall(5);
  expect([clock.now(), clock.monotonic()]).toEqual([5, 30]);
});
