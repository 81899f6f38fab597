import { SourceMap as NodeSourceMap } from 'node:module';
import { encode } from '@jridgewell/sourcemap-codec';
import { expect, test } from 'vitest';
import { ownSourceMap } from './own-source-map.ts';

const map = {
  version: 3,
  sources: ['../node_modules/express/index.js', '../src/main.ts'],
  names: [],
  mappings: encode([
    [[0, 0, 0, 0]],
    [
      [0, 1, 4, 2],
      [10, 1, 5, 0],
    ],
    [
      [0, 0, 7, 0],
      [8, 0, 8, 0],
    ],
    [],
  ]),
};

test('places of ours are found, places in packages are not', () => {
  const own = ownSourceMap(map);
  expect(own.sources).toEqual(['../src/main.ts']);
  // As Node looks them up for a stack trace: the nearest mapping before the place.
  const node = new NodeSourceMap({
    ...own,
    file: 'main.js',
    names: [],
    sources: [...own.sources],
    sourcesContent: [],
    sourceRoot: '',
  });
  expect(node.findEntry(1, 12)).toMatchObject({ originalSource: '../src/main.ts', originalLine: 5, originalColumn: 0 });
  expect(node.findEntry(0, 0)).not.toHaveProperty('originalSource');
  expect(Object.values(node.findEntry(2, 9))).not.toContain('../src/main.ts');
  expect(Object.values(node.findEntry(3, 0))).not.toContain('../src/main.ts');
});
