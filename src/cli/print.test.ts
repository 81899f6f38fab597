import fc from 'fast-check';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { ago, table, toYaml } from './print.ts';

describe('YAML', () => {
  it('says what was said, whatever that is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(parse(toYaml(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 500 },
    );
  });

  it('looks as that of kubectl', () => {
    const value = { kind: 'List', items: [{ metadata: { name: 'a', labels: {} }, list: ['x', 1] }] };
    expect(toYaml(value)).toBe('kind: List\nitems:\n- metadata:\n    name: a\n    labels: {}\n  list:\n  - x\n  - 1');
  });
});

describe('a table', () => {
  it('has columns as wide as what is in them', () => {
    const columns = [
      { name: 'Name', of: ({ name }: { name: string }) => name },
      { name: 'Age', of: () => undefined },
    ];
    expect(table([{ name: 'a-long-name' }, { name: 'b' }], columns)).toBe(
      'NAME          AGE\na-long-name   <none>\nb             <none>',
    );
  });

  it('may have more rows than a function takes arguments', () => {
    const rows = Array.from({ length: 300_000 }, (_, index) => index);
    expect(table(rows, [{ name: 'N', of: (row) => row }]).split('\n')).toHaveLength(300_001);
  });
});

it.each([
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [200, '3m20s'],
  [3600, '60m'],
  [4 * 3600, '4h'],
  [10 * 86_400, '10d'],
  [-5, '0s'],
])('%i seconds ago is %s', (seconds, text) => {
  const now = Date.parse('2026-01-20T00:00:00Z');
  expect(ago(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
});
