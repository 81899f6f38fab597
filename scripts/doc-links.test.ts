import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = ['docs', 'examples', 'test/cluster'];

test('every link from one page of ours to another leads to a file, and to a heading of it', async () => {
  const pages = await markdownPages();
  const headings = new Map<string, Set<string>>();
  for (const page of pages) headings.set(page, anchorsOf(await readFile(page, 'utf8')));
  const broken: string[] = [];
  let links = 0;
  for (const page of pages) {
    for (const target of linksOf(await readFile(page, 'utf8'))) {
      links += 1;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      const exists = await stat(file).then(
        () => true,
        () => false,
      );
      const known = headings.get(file);
      const isFound = exists && (anchor === undefined || known === undefined || known.has(anchor));
      if (!isFound) broken.push(`${relative(root, page)}: ${target}`);
    }
  }
  expect(links).toBeGreaterThan(50);
  expect(broken).toEqual([]);
});

async function markdownPages(): Promise<string[]> {
  const below = await Promise.all(folders.map((folder) => readdir(join(root, folder), { recursive: true })));
  const names = below.flatMap((list, index) => list.map((name) => join(folders[index] ?? '', name)));
  const top = await readdir(root);
  return [...top, ...names].filter((name) => name.endsWith('.md')).map((name) => join(root, name));
}

/** Relative ones, outside of code. */
function linksOf(markdown: string): string[] {
  const targets = [...withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** The names by which GitHub's pages know their headings. */
function anchorsOf(markdown: string): Set<string> {
  const titles = withoutBlocks(markdown).match(/^#+ .*$/gm) ?? [];
  return new Set(
    titles.map((title) =>
      title
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function withoutBlocks(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, '');
}

function withoutCode(markdown: string): string {
  return withoutBlocks(markdown).replace(/`[^`\n]*`/g, '');
}
