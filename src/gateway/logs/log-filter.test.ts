import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogPage, logQuery, type Entry } from './log-filter.ts';

const at = (ns: number): string =>
  `2026-01-01T00:00:${String(Math.floor(ns / 1e9)).padStart(2, '0')}.${String(ns % 1e9).padStart(9, '0')}Z`;
const entry = (text: string, ns: number, deploymentId: string | null = null): Entry => ({
  text,
  timestamp: at(ns),
  deploymentId,
  sessionId: null,
});

function pageOf(entries: Iterable<Entry>, query: Record<string, unknown>): LogPage {
  const made = new LogPage(logQuery.parse(query));
  for (const each of entries) made.add(each);
  return made;
}

function page(entries: Entry[], query: Record<string, unknown> = {}): { total: number; lines: string[] } {
  const made = pageOf(entries, query);
  const { lines, truncated } = made.shown;
  expect(truncated).toBe(false);
  return { lines: lines.map(({ log }) => log), total: made.total };
}

const three = [entry('a', 1), entry('b', 3), entry('c', 2)];

describe('a page of a log', () => {
  it('has the newest lines first, or the oldest', () => {
    expect(page(three)).toEqual({ total: 3, lines: ['b', 'c', 'a'] });
    expect(page(three, { order: 'asc' })).toEqual({ total: 3, lines: ['a', 'c', 'b'] });
  });

  it('begins where it is to, and has as many lines as it may', () => {
    expect(page(three, { limit: '1', offset: '1' })).toEqual({ total: 3, lines: ['c'] });
    expect(page(three, { offset: '9' })).toEqual({ total: 3, lines: [] });
  });

  it('keeps lines of one moment in their order', () => {
    const same = [entry('a', 1), entry('b', 1), entry('c', 1)];
    expect(page(same, { order: 'asc' }).lines).toEqual(['a', 'b', 'c']);
    expect(page(same).lines).toEqual(['c', 'b', 'a']);
  });

  it('tells nanoseconds apart, also where zeros at the end are left out', () => {
    const lines = [{ ...entry('later', 0), timestamp: '2026-01-01T00:00:00.1Z' }, entry('earlier', 99_999_999)];
    expect(page(lines, { order: 'asc' }).lines).toEqual(['earlier', 'later']);
  });

  it.each([
    [{ query: 'B' }, ['b']],
    [{ startTime: '1767225601' }, ['late']],
    [{ endTime: '1767225600' }, ['b', 'a']],
    [{ deploymentId: 'd' }, ['late']],
  ])('is narrowed by %j', (query, lines) => {
    expect(
      page(
        [entry('a', 1), entry('b', 2), entry('late', 2e9, 'd')].map((each) =>
          each.text === 'late' ? each : { ...each, timestamp: each.timestamp.replace(/[.]\d+/, '') },
        ),
        query,
      ).lines.sort(),
    ).toEqual(lines.sort());
  });

  it('is the same as of all lines at once, however many there are', () => {
    const many = fc.array(fc.nat(1e6), { minLength: 1500, maxLength: 4000 });
    fc.assert(
      fc.property(many, fc.nat(50), fc.constantFrom('asc', 'desc'), (times, offset, order) => {
        const entries = times.map((ns, index) => entry(String(index), ns));
        const sorted = [...entries].sort((a, b) =>
          a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0,
        );
        if (order === 'desc') sorted.reverse();
        expect(page(entries, { order, offset, limit: 20 }).lines).toEqual(
          sorted.slice(offset, offset + 20).map(({ text }) => text),
        );
      }),
      { numRuns: 20 },
    );
  });

  /** Each is as large as a line may be, and six times as large as JSON. */
  const escapes = '\u001b'.repeat(256 * 1024);
  const numbered = (count: number, text: string): Entry[] =>
    Array.from({ length: count }, (_, ns) => entry(`${String(ns)} ${text}`, ns));
  const shown = (entries: Entry[], query: Record<string, unknown>) => {
    const { lines, truncated } = pageOf(entries, query).shown;
    expect(Buffer.byteLength(JSON.stringify(lines))).toBeLessThanOrEqual(8 * 1024 * 1024);
    return { numbers: lines.map(({ log }) => Number(log.split(' ', 1)[0])), truncated };
  };

  it('is never larger than 8 MiB of JSON: it has its first lines then, and the next page those that follow', () => {
    const many = numbered(40, escapes);
    expect(shown(many, { limit: 40 })).toEqual({ numbers: [39, 38, 37, 36, 35], truncated: true });
    expect(shown(many, { limit: 40, offset: 5 })).toEqual({ numbers: [34, 33, 32, 31, 30], truncated: true });
    expect(shown(many, { limit: 40, order: 'asc' })).toEqual({ numbers: [0, 1, 2, 3, 4], truncated: true });
    expect(shown(many, { limit: 5 })).toEqual({ numbers: [39, 38, 37, 36, 35], truncated: false });
    expect(pageOf(many, { limit: 40 }).total).toBe(40);
  });

  it('ends where the lines up to it are too large to be kept, and has no gaps', () => {
    const large = numbered(120, 'x'.repeat(256 * 1024));
    const all = [...large, entry('120 small', 120), entry('121 small', 121)];
    // 48 of them are 24 MiB. The others are dropped before the small ones come, which must not take their place.
    expect(shown(all, { limit: 100, offset: 45, order: 'asc' })).toEqual({ numbers: [45, 46, 47], truncated: true });
    expect(shown(all, { limit: 100, offset: 50, order: 'asc' })).toEqual({ numbers: [], truncated: true });
    expect(shown(all, { limit: 8, offset: 40, order: 'asc' }).truncated).toBe(false);
    expect(shown(all, { limit: 4, offset: 40, order: 'asc' })).toEqual({ numbers: [40, 41, 42, 43], truncated: false });
    expect(shown(all, { limit: 4 })).toEqual({ numbers: [121, 120, 119, 118], truncated: false });
  });

  it.each([{ limit: '0' }, { limit: '1e9' }, { offset: '-1' }, { startTime: 'yesterday' }, { order: 'up' }])(
    'is not for %j',
    (query) => {
      expect(logQuery.safeParse(query).success).toBe(false);
    },
  );
});
