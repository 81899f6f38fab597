import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineSplitter } from './line-splitter.ts';

it('gives the same lines however the bytes are cut', () => {
  const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', ' '));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (lines, sizes) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const splitter = new LineSplitter(10_000);
      const got: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        got.push(...splitter.push(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(got).toEqual(lines.map((text) => Buffer.from(text).toString()));
    }),
  );
});

it('refuses a line that is too long, before it is complete', () => {
  const splitter = new LineSplitter(10);
  expect([...splitter.push(Buffer.from('0123456789\n01234'))]).toEqual(['0123456789']);
  expect(() => [...splitter.push(Buffer.from('567890'))]).toThrow(RangeError);
});
