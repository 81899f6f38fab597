import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { Lifecycle, terminationSignal } from './lifecycle.ts';
import { FakeClock } from './testing/fake-clock.ts';

it('stops the parts one after the other, the last added first, also when one fails', async () => {
  const clock = new FakeClock();
  const lifecycle = new Lifecycle({ clock, deadlineMs: 1000 });
  const stopped: string[] = [];
  lifecycle.add('first', () => void stopped.push('first'));
  lifecycle.add('failing', () => {
    throw new Error('cannot');
  });
  const release = Promise.withResolvers<undefined>();
  lifecycle.add('last', async () => {
    await release.promise;
    stopped.push('last');
  });
  const stop = new AbortController();
  const run = lifecycle.run(stop.signal);
  await clock.advanceAsync(0);
  expect(stopped).toEqual([]);
  stop.abort();
  await clock.advanceAsync(0);
  expect(stopped).toEqual([]);
  release.resolve(undefined);
  expect(await run).toEqual(['failing']);
  expect(stopped).toEqual(['last', 'first']);
  expect(clock.pendingTimers).toBe(0);
});

it('waits no longer than its deadline, and still tells every part to stop', async () => {
  const clock = new FakeClock();
  const lifecycle = new Lifecycle({ clock, deadlineMs: 1000 });
  const told: string[] = [];
  lifecycle.add('first', () => void told.push('first'));
  lifecycle.add('stuck', () => new Promise(() => undefined));
  const run = lifecycle.run(AbortSignal.abort());
  await clock.advanceAsync(1000);
  expect(await run).toEqual(['stuck']);
  expect(told).toEqual(['first']);
});

it('turns the first SIGTERM into an abort, and leaves a second one to Node', () => {
  const process = new EventEmitter();
  const signal = terminationSignal(process);
  process.emit('SIGTERM');
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ message: 'received SIGTERM' });
  expect(process.listenerCount('SIGTERM')).toBe(0);
});
