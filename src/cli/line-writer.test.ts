import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { LineWriter } from './line-writer.ts';

/** A reader with room for so much, who takes one piece at a time, when the test says so. */
class SlowReader extends Writable {
  readonly got: string[] = [];
  readonly #taken: (() => void)[] = [];

  constructor(room: number) {
    super({ highWaterMark: room, decodeStrings: false });
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.got.push(chunk);
    this.#taken.push(done);
  }

  take(): void {
    this.#taken.shift()?.();
  }
}

/** What has come of a promise once all that is due has been done. */
async function stateOf(promise: Promise<void>): Promise<'done' | 'waits'> {
  const done = promise.then(() => 'done' as const);
  await new Promise((resolve) => setImmediate(resolve));
  return await Promise.race([done, Promise.resolve('waits' as const)]);
}

it('waits for a reader who has no room for more', async () => {
  const reader = new SlowReader(10);
  const writer = new LineWriter(reader, new AbortController().signal);
  expect(await stateOf(writer.write('short'))).toBe('done');
  const written = writer.write('and no more');
  reader.take();
  expect(await stateOf(written)).toBe('waits');
  reader.take();
  await written;
  expect(reader.got).toEqual(['short\n', 'and no more\n']);
});

it.each([10, 1_000_000])('is flushed when the last line has left, where %i bytes may wait', async (room) => {
  const reader = new SlowReader(room);
  const writer = new LineWriter(reader, new AbortController().signal);
  for (const line of ['one', 'two', 'and so on']) void writer.write(line);
  const flushed = writer.flushed();
  for (let taken = 0; taken < 3; taken++) {
    expect(await stateOf(flushed)).toBe('waits');
    reader.take();
  }
  reader.take(); // the end that was asked for
  await flushed;
  expect(reader.got.join('')).toBe('one\ntwo\nand so on\n');
});

it('is flushed when nothing was written', async () => {
  const reader = new SlowReader(10);
  const flushed = new LineWriter(reader, new AbortController().signal).flushed();
  reader.take();
  await flushed;
});

it('waits no more once it is told not to', async () => {
  const stopped = new AbortController();
  const writer = new LineWriter(new SlowReader(1), stopped.signal);
  const written = writer.write('more than it takes');
  const flushed = writer.flushed();
  expect(await stateOf(flushed)).toBe('waits');
  stopped.abort();
  await Promise.all([written, flushed, writer.write('more'), writer.flushed()]);
});
