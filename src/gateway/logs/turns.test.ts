import { expect, test } from 'vitest';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { Turns, type TurnRules } from './turns.ts';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Turns by these rules, and who has had one, in that order. */
function play(rules: Partial<TurnRules>) {
  const clock = new FakeClock();
  const stopping = new AbortController();
  const all = { atOnce: 2, each: 2, waiting: 20, waitMs: 10_000, turnMs: 60_000, ...rules };
  const turns = new Turns(all, { clock, stopping: stopping.signal });
  const began: string[] = [];
  const ended: string[] = [];
  /** Wants a turn for `name`, of whom its first letter is; resolves what ends it. */
  const take = async (name: string): Promise<() => Promise<void>> => {
    const over = new AbortController();
    turns.take(name.slice(0, 1), over.signal).then(
      () => began.push(name),
      (error: unknown) => ended.push(`${name}: ${String(error)}`),
    );
    await settled();
    return async () => {
      over.abort(new Error('gone'));
      await settled();
    };
  };
  return { clock, stopping, began, ended, take };
}

const BUSY = expect.stringContaining('Too many logs are read') as string;

test('only so many have a turn at one time, and the others get theirs in the order in which they came', async () => {
  const { began, take } = play({ atOnce: 2 });
  const names = ['a1', 'a2', 'a3', 'a4', 'a5'];
  const over: (() => Promise<void>)[] = [];
  for (const name of names) over.push(await take(name));
  for (const [index, end] of over.entries()) {
    expect(began).toEqual(names.slice(0, index + 2));
    await end();
  }
});

test('whoever goes leaves the line', async () => {
  const { began, ended, take } = play({ atOnce: 1 });
  const end = await take('a1');
  const leave = await take('a2');
  await take('a3');
  await leave();
  expect(ended).toEqual(['a2: Error: gone']);
  await end();
  expect(began).toEqual(['a1', 'a3']);
});

test('nobody has more than so many turns at one time, whoever else waits', async () => {
  const { began, take } = play({ atOnce: 2, each: 1 });
  const first = await take('a1');
  await take('a2');
  const other = await take('b1');
  expect(began).toEqual(['a1', 'b1']);
  await take('b2');
  await other();
  // The second of a came before that of b, but a has its turn.
  expect(began).toEqual(['a1', 'b1', 'b2']);
  await first();
  expect(began).toEqual(['a1', 'b1', 'b2', 'a2']);
});

test('it is the turn of who has the fewest, however long the lines of the others are', async () => {
  const { began, take } = play({ atOnce: 3, each: 2 });
  const first = await take('a1');
  for (const name of ['a2', 'b1', 'b2', 'a3', 'b3', 'c1']) await take(name);
  expect(began).toEqual(['a1', 'a2', 'b1']);
  await first();
  expect(began).toEqual(['a1', 'a2', 'b1', 'c1']);
});

test('only so many wait for the same one, and none of them for long', async () => {
  const { clock, began, ended, take } = play({ atOnce: 1, waiting: 2, waitMs: 10_000 });
  const end = await take('a1');
  for (const name of ['a2', 'a3', 'a4']) await take(name);
  expect(ended).toEqual([BUSY]);
  expect(ended[0]).toMatch(/^a4/);
  await take('b1');
  await clock.advanceAsync(9_999);
  expect(ended).toHaveLength(1);
  await clock.advanceAsync(1);
  expect(ended).toEqual([BUSY, BUSY, BUSY, BUSY]);
  await end();
  await take('a5');
  expect(began).toEqual(['a1', 'a5']);
});

test('nobody waits for a process that is to end, but turns are finished, and free ones given', async () => {
  const { stopping, began, ended, take } = play({ atOnce: 1 });
  const end = await take('a1');
  await take('a2');
  stopping.abort();
  await settled();
  expect(ended).toEqual([BUSY]);
  await take('a3');
  expect(ended).toEqual([BUSY, BUSY]);
  await end();
  await take('a4');
  expect(began).toEqual(['a1', 'a4']);
});

test('a turn is over at last, also where nobody gives it back, and is given back once', async () => {
  const { clock, began, take } = play({ atOnce: 1, waitMs: 100_000, turnMs: 60_000 });
  const end = await take('a1');
  await take('a2');
  await take('a3');
  await clock.advanceAsync(60_000);
  await end();
  expect(began).toEqual(['a1', 'a2']);
});
