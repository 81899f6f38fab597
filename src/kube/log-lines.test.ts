import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogLines, type LogLine } from './log-lines.ts';

function read(chunks: Buffer[], maxBytes = 1000): LogLine[] {
  const lines = new LogLines(maxBytes);
  return [...chunks.flatMap((chunk) => [...lines.push(chunk)]), ...lines.end()];
}

describe('a log', () => {
  it('is its lines, each with its time', () => {
    const text = '2026-01-01T00:00:00.1Z hello world\n2026-01-01T00:00:00.2Z \n2026-01-01T00:00:00.3Z last\r\n';
    expect(read([Buffer.from(text)])).toEqual([
      { timestamp: '2026-01-01T00:00:00.1Z', text: 'hello world' },
      { timestamp: '2026-01-01T00:00:00.2Z', text: '' },
      { timestamp: '2026-01-01T00:00:00.3Z', text: 'last' },
    ]);
  });

  it('is the same however it is cut', () => {
    const text = Buffer.from('t1 Grüße, 世界\nt2 b\n\nt3 the end');
    const whole = read([text]);
    expect(whole.at(-1)).toEqual({ timestamp: 't3', text: 'the end' });
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), text.length];
        expect(read(at.slice(1).map((end, index) => text.subarray(at[index], end)))).toEqual(whole);
      }),
    );
  });

  it('with a line without an end takes no more than that', () => {
    const chunks = Array.from({ length: 50 }, () => Buffer.alloc(100, 'x'));
    const [line, next] = read([Buffer.from('t '), ...chunks, Buffer.from('\nt2 next\n')], 1000);
    expect(line?.text).toHaveLength(998);
    expect(next).toEqual({ timestamp: 't2', text: 'next' });
  });
});
