import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

const forever = new AbortController().signal;

test('only so many run at one time, and the others in the order in which they came', async () => {
  const turns = new Turns(2);
  const began: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<undefined>());
  const all = gates.map(({ promise }, index) =>
    turns.take(() => {
      began.push(index);
      return promise;
    }, forever),
  );
  for (const [index, gate] of gates.entries()) {
    await expect.poll(() => began).toEqual([0, 1, 2, 3, 4].slice(0, Math.min(index + 2, 5)));
    gate.resolve(undefined);
    await all[index];
  }
});

test('whoever goes leaves the line, and what fails gives its turn back', async () => {
  const turns = new Turns(1);
  const first = Promise.withResolvers<undefined>();
  const failing = turns.take(() => first.promise, forever);
  const gone = new AbortController();
  const left = turns.take(() => Promise.resolve('never'), gone.signal);
  const next = turns.take(() => Promise.resolve('next'), forever);
  gone.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  first.reject(new Error('failed'));
  await expect(failing).rejects.toThrow('failed');
  await expect(next).resolves.toBe('next');
  await expect(turns.take(() => Promise.resolve('again'), forever)).resolves.toBe('again');
});
