import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { packageFolder, thirdPartyNotices } from './third-party-notices.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

test('a bundled file leads to its package', () => {
  expect(packageFolder('node_modules/zod/v4/index.js')).toBe('node_modules/zod');
  expect(packageFolder('node_modules/a/node_modules/@b/c/d.js')).toBe('node_modules/a/node_modules/@b/c');
  expect(packageFolder('src/main.ts')).toBeUndefined();
});

test('each package is named once, with its licence', async () => {
  const text = await thirdPartyNotices(['node_modules/zod/a.js', 'node_modules/zod/b.js', 'src/main.ts'], root);
  expect(text.match(/^--- /gm)).toHaveLength(1);
  expect(text).toMatch(/^--- zod \d/m);
  expect(text).toContain('MIT License');
});
