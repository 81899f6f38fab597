import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/**
 * The licences of the packages whose code is in a bundle; most ask that their text goes with every copy.
 *
 * @param inputs paths of the bundled files, relative to `root`, as in esbuild's metafile
 */
export async function thirdPartyNotices(inputs: readonly string[], root: string): Promise<string> {
  const folders = new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined));
  const notices = await Promise.all([...folders].sort().map((folder) => notice(join(root, folder))));
  return `Bullpen contains code of these packages.\n\n${[...new Set(notices)].join('\n')}`;
}

/** `a/node_modules/@scope/name/lib/x.js` → `a/node_modules/@scope/name`; undefined for a file that is in no package. */
export function packageFolder(path: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
}

async function notice(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageJson;
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text =
    file === undefined ? `Licence: ${license ?? 'see the package'}` : await readFile(join(folder, file), 'utf8');
  return `--- ${name} ${version}\n\n${text.trim()}\n`;
}
