import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CloseFrames } from './close-frames.ts';

interface Frame {
  opcode: number;
  length: number;
  masked: boolean;
}

/** A frame as it is on the wire (RFC 6455, section 5.2). Its content is all closing frames, for whoever loses count. */
function bytesOf({ opcode, length, masked }: Frame): Buffer {
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const header = Buffer.alloc(2 + size);
  header[0] = 0x80 | opcode;
  header[1] = (masked ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) header.writeUInt16BE(length, 2);
  if (size === 8) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, Buffer.alloc(masked ? 4 : 0, 0x88), Buffer.alloc(length, 0x88)]);
}

function seenIn(...chunks: Buffer[]): boolean {
  const frames = new CloseFrames();
  for (const chunk of chunks) frames.push(chunk);
  return frames.seen;
}

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;

describe.each([false, true])('frames with a mask: %s', (masked) => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 200_000])('a closing frame is seen behind %i bytes of content', (length) => {
    const data = bytesOf({ opcode: TEXT, length, masked });
    expect(seenIn(data)).toBe(false);
    expect(seenIn(data, bytesOf({ opcode: PING, length: 4, masked }))).toBe(false);
    expect(seenIn(Buffer.concat([data, bytesOf({ opcode: CLOSE, length: 2, masked })]))).toBe(true);
  });
});

it('a closing frame is seen that is part of a chunk used again for something else', () => {
  const frames = new CloseFrames();
  const chunk = Buffer.from([0x88]);
  frames.push(chunk);
  chunk.fill(0);
  frames.push(Buffer.from([0]));
  expect(frames.seen).toBe(true);
});

it('a closing frame is seen where one was sent, however the bytes are cut, and nowhere else', () => {
  const frame = fc.record({
    opcode: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0, 1, 2, PING, 0xa) }, fc.constant(CLOSE)),
    length: fc.oneof(fc.nat(130), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000)),
    masked: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(300), { maxLength: 60 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(bytesOf));
      const frames = new CloseFrames();
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        frames.push(bytes.subarray(at, at + cut));
        at = Math.min(bytes.length, at + cut);
      }
      expect(frames.seen).toBe(sent.some(({ opcode }) => opcode === CLOSE));
    }),
  );
});
