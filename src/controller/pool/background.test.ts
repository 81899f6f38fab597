import { expect, it } from 'vitest';
import { Background } from './background.ts';

/** Tasks that end when they are told to, and the names of those that were begun. */
function setUp(limits: { limit: number; perKey: number }) {
  const background = new Background(limits);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (key: string, name: string): void =>
    background.run(key, () => {
      begun.push(name);
      return new Promise((resolve) => ends.set(name, resolve));
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { run, end, begun };
}

it('runs the tasks of a key in their order, so many at a time', async () => {
  const { run, end, begun } = setUp({ limit: 5, perKey: 2 });
  for (const name of ['a1', 'a2', 'a3', 'a4']) run('a', name);
  expect(begun).toEqual(['a1', 'a2']);
  await end('a2');
  expect(begun).toEqual(['a1', 'a2', 'a3']);
  await end('a1');
  expect(begun).toEqual(['a1', 'a2', 'a3', 'a4']);
});

it('keeps a place for others while the tasks of one key are slow', () => {
  const { run, begun } = setUp({ limit: 3, perKey: 2 });
  for (const name of ['slow1', 'slow2', 'slow3']) run('slow', name);
  run('other', 'other1');
  expect(begun).toEqual(['slow1', 'slow2', 'other1']);
});

it('lets the keys take turns', async () => {
  const { run, end, begun } = setUp({ limit: 1, perKey: 1 });
  for (const name of ['a1', 'a2', 'a3']) run('a', name);
  for (const name of ['b1', 'b2']) run('b', name);
  for (const name of ['a1', 'a2', 'b1', 'a3']) await end(name);
  expect(begun).toEqual(['a1', 'a2', 'b1', 'a3', 'b2']);
});
