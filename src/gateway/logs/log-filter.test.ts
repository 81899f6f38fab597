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

function page(entries: Entry[], query: Record<string, unknown> = {}): { total: number; lines: string[] } {
  const made = new LogPage(logQuery.parse(query));
  for (const each of entries) made.add(each);
  return { lines: made.lines.map(({ text }) => text), total: made.total };
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

  it.each([{ limit: '0' }, { limit: '1e9' }, { offset: '-1' }, { startTime: 'yesterday' }, { order: 'up' }])(
    'is not for %j',
    (query) => {
      expect(logQuery.safeParse(query).success).toBe(false);
    },
  );
});
