import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

const forever = new AbortController().signal;

test('only so many run at one time, and the others in the order in which they came', async () => {
  const turns = new Turns({ atOnce: 2, each: 2 });
  const began: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<undefined>());
  const all = gates.map(({ promise }, index) =>
    turns.take(
      'a',
      () => {
        began.push(index);
        return promise;
      },
      forever,
    ),
  );
  for (const [index, gate] of gates.entries()) {
    await expect.poll(() => began).toEqual([0, 1, 2, 3, 4].slice(0, Math.min(index + 2, 5)));
    gate.resolve(undefined);
    await all[index];
  }
});

test('whoever goes leaves the line, and what fails gives its turn back', async () => {
  const turns = new Turns({ atOnce: 1, each: 1 });
  const first = Promise.withResolvers<undefined>();
  const failing = turns.take('a', () => first.promise, forever);
  const gone = new AbortController();
  const left = turns.take('a', () => Promise.resolve('never'), gone.signal);
  const next = turns.take('a', () => Promise.resolve('next'), forever);
  gone.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  first.reject(new Error('failed'));
  await expect(failing).rejects.toThrow('failed');
  await expect(next).resolves.toBe('next');
  await expect(turns.take('a', () => Promise.resolve('again'), forever)).resolves.toBe('again');
});

test('nobody keeps the others waiting for long: each has only so many turns at one time', async () => {
  const turns = new Turns({ atOnce: 2, each: 1 });
  const began: string[] = [];
  const begin = (who: string, name: string) => {
    const gate = Promise.withResolvers<undefined>();
    const done = turns.take(
      who,
      () => {
        began.push(name);
        return gate.promise;
      },
      forever,
    );
    return async (): Promise<void> => {
      gate.resolve(undefined);
      await done;
    };
  };
  const first = begin('a', 'a1');
  const second = begin('a', 'a2');
  const other = begin('b', 'b1');
  await expect.poll(() => began).toEqual(['a1', 'b1']);
  const late = begin('b', 'b2');
  await other();
  // The second of a came before that of b, but a has its turn.
  await expect.poll(() => began).toEqual(['a1', 'b1', 'b2']);
  await first();
  await expect.poll(() => began).toEqual(['a1', 'b1', 'b2', 'a2']);
  await Promise.all([second(), late()]);
});
