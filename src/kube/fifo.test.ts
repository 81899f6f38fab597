import { expect, it } from 'vitest';
import { Fifo } from './fifo.ts';

it('a fifo keeps the order through any mixture of push and shift', () => {
  const fifo = new Fifo<number>();
  const got: (number | undefined)[] = [];
  for (let i = 0; i < 100; i++) {
    fifo.push(i);
    if (i % 3 === 0) got.push(fifo.shift());
  }
  while (fifo.length > 0) got.push(fifo.shift());
  expect(got).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(fifo.shift()).toBeUndefined();
});
