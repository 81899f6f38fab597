import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** One entry of a tar archive. Times are always 0, so that the same content gives the same bytes. */
export interface TarEntry {
  /** Relative, with `/` between parts, no leading or closing `/`. */
  path: string;
  /** Permission bits; default 0644, for directories 0755. */
  mode?: number;
  uid?: number;
  gid?: number;
  content:
    | { kind: 'text'; text: string | Uint8Array }
    | { kind: 'file'; path: string; size: number }
    | { kind: 'link'; target: string }
    | { kind: 'directory' };
}

const blockSize = 512;
const types = { text: '0', file: '0', link: '2', directory: '5' } as const;

/** An archive in the pax format, which every container runtime reads. */
export async function* tarArchive(entries: Iterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const { content } = entry;
    const bytes = content.kind === 'text' ? Buffer.from(content.text) : undefined;
    const size = content.kind === 'file' ? content.size : (bytes?.length ?? 0);
    yield headerOf(entry, size);
    if (bytes !== undefined) yield bytes;
    if (content.kind === 'file') {
      let sent = 0;
      for await (const chunk of createReadStream(content.path) as AsyncIterable<Buffer>) {
        sent += chunk.length;
        yield chunk;
      }
      if (sent !== size) throw new Error(`${content.path} changed while it was being archived`);
    }
    yield padding(size);
  }
  yield Buffer.alloc(2 * blockSize);
}

/** Header blocks of an entry: the classic one, before it an extended one if the path or the link does not fit. */
export function headerOf(entry: TarEntry, size: number): Uint8Array {
  const path = entry.content.kind === 'directory' ? `${entry.path}/` : entry.path;
  const link = entry.content.kind === 'link' ? entry.content.target : '';
  const extended: [string, string][] = [];
  if (!fits(path)) extended.push(['path', path]);
  if (!fits(link)) extended.push(['linkpath', link]);
  const mode = entry.mode ?? (entry.content.kind === 'directory' ? 0o755 : 0o644);
  const type = types[entry.content.kind];
  const header = block({ path, link, mode, uid: entry.uid ?? 0, gid: entry.gid ?? 0, size, type });
  if (extended.length === 0) return header;
  const records = Buffer.from(extended.map(([key, value]) => paxRecord(key, value)).join(''));
  const before = block({ path: 'pax', link: '', mode: 0o644, uid: 0, gid: 0, size: records.length, type: 'x' });
  return Buffer.concat([before, records, padding(records.length), header]);
}

/** Everything below a folder, in a fixed order, as entries below `at` (default: the root). */
export async function entriesOf(folder: string, at = ''): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const source = join(folder, name);
    const path = at === '' ? name : `${at}/${name}`;
    const stats = await lstat(source);
    const mode = stats.mode & 0o7777;
    if (stats.isSymbolicLink()) {
      entries.push({ path, mode: 0o777, content: { kind: 'link', target: await readlink(source) } });
    } else if (stats.isDirectory()) {
      entries.push({ path, mode, content: { kind: 'directory' } }, ...(await entriesOf(source, path)));
    } else if (stats.isFile()) {
      entries.push({ path, mode, content: { kind: 'file', path: source, size: stats.size } });
    }
  }
  return entries;
}

interface Block {
  path: string;
  link: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  type: string;
}

function block({ path, link, mode, uid, gid, size, type }: Block): Buffer {
  const header = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
  };
  header.write(path.slice(0, 100), 0, 100, 'latin1');
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.write(' '.repeat(8), 148, 'latin1');
  header.write(type, 156, 'latin1');
  header.write(link.slice(0, 100), 157, 100, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function fits(text: string): boolean {
  return text.length <= 100 && /^[ -~]*$/.test(text);
}

function padding(size: number): Buffer {
  return Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
}
