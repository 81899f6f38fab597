import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { problems } from '../src/gateway/problems.ts';

const page = fileURLToPath(new URL('../docs/rest-api.md', import.meta.url));

test('docs/rest-api.md lists every status and code of an error, and no others', async () => {
  const section = (await readFile(page, 'utf8')).split('<!-- problems -->')[1] ?? '';
  const listed = [...section.matchAll(/^\| +(\d{3}) \| `([\w-]+)`/gm)].map(([, status, code]) => `${status} ${code}`);
  const known = Object.values(problems).map(({ status, code }) => `${status} ${code}`);
  expect(listed.sort()).toEqual([...new Set(known)].sort());
});
