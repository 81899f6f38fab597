import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { declaredRoutes, renderRoutesPage, routesPage } from './generate-routes-doc.ts';

const rightsPage = fileURLToPath(new URL('../docs/keys-and-permissions.md', import.meta.url));

test('docs/reference/routes.md is what the route table says (node scripts/generate-routes-doc.ts)', async () => {
  expect(await readFile(routesPage, 'utf8')).toBe(renderRoutesPage());
});

test('every route is on the page', () => {
  const rows = renderRoutesPage().match(/^\| `[A-Z]+ \//gm) ?? [];
  expect(rows.length).toBeGreaterThan(40);
  expect(rows).toHaveLength(declaredRoutes().length);
});

test('every route of an organization names the right that it needs', () => {
  const nameless = declaredRoutes().filter(({ plane, access }) => plane === 'organization' && access === undefined);
  expect(nameless.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
});

test('docs/keys-and-permissions.md lists the rights that routes need, and no others', async () => {
  const section = (await readFile(rightsPage, 'utf8')).split('<!-- rights -->')[1] ?? '';
  const listed = [...section.matchAll(/^\| `(\w+ \w+)`/gm)].map(([, right]) => right);
  const needed = declaredRoutes().flatMap(({ access }) => (access ? [`${access.verb} ${access.resource}`] : []));
  expect(listed.sort()).toEqual([...new Set(needed)].sort());
});
