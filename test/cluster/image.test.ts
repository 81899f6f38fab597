import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseLdd } from './base-images.ts';
import { imageConfig, writeImage, type ImageSpec } from './image.ts';
import { entriesOf, headerOf, tarArchive, type TarEntry } from './tar.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bullpen-image-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const tar = (...args: string[]): string => execFileSync('tar', args, { encoding: 'utf8' });

async function archiveOf(entries: TarEntry[]): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of tarArchive(entries)) chunks.push(chunk);
  const file = join(folder, 'x.tar');
  await writeFile(file, Buffer.concat(chunks));
  return file;
}

describe('a tar archive', () => {
  test('keeps paths, modes, owners, links and content', async () => {
    const file = await archiveOf([
      { path: 'tmp', mode: 0o1777, content: { kind: 'directory' } },
      { path: 'etc/motd', uid: 65532, gid: 7, content: { kind: 'text', text: 'hello\n' } },
      { path: 'bin/sh', mode: 0o777, content: { kind: 'link', target: 'busybox' } },
    ]);
    const lines = tar('--numeric-owner', '-tvf', file).trim().split('\n');
    expect(lines.map((line) => line.replace(/\s+\d{4}-\d\d-\d\d \d\d:\d\d\s+/, ' ').replace(/\s+/g, ' '))).toEqual([
      'drwxrwxrwt 0/0 0 tmp/',
      '-rw-r--r-- 65532/7 6 etc/motd',
      'lrwxrwxrwx 0/0 0 bin/sh -> busybox',
    ]);
    expect(tar('-xOf', file, 'etc/motd')).toBe('hello\n');
  });

  test.each([99, 100, 101, 300])('holds a path of %i characters and one with letters beyond ASCII', async (length) => {
    const long = 'd/'.repeat(length / 2).padEnd(length, 'x');
    const file = await archiveOf([
      { path: long, content: { kind: 'text', text: 'a' } },
      { path: 'grün', content: { kind: 'text', text: 'b' } },
    ]);
    expect(tar('--quoting-style=literal', '-tf', file).trim().split('\n')).toEqual([long, 'grün']);
  });

  test('has headers of whole blocks', () => {
    const entry: TarEntry = { path: 'p'.repeat(150), content: { kind: 'text', text: '' } };
    expect(headerOf(entry, 0).length % 512).toBe(0);
  });

  test('takes a folder in a fixed order', async () => {
    await mkdir(join(folder, 'in', 'b'), { recursive: true });
    await writeFile(join(folder, 'in', 'b', 'file'), '1');
    await writeFile(join(folder, 'in', 'a'), '2');
    await symlink('a', join(folder, 'in', 'c'));
    const entries = await entriesOf(join(folder, 'in'), 'app');
    expect(entries.map((entry) => `${entry.path} ${entry.content.kind}`)).toEqual([
      'app/a file',
      'app/b directory',
      'app/b/file file',
      'app/c link',
    ]);
  });
});

describe('an image archive', () => {
  const spec: ImageSpec = {
    name: 'localhost/test:1',
    config: { entrypoint: ['/run'], user: '65532', env: { A: 'b' } },
    layers: [
      [{ path: 'one', content: { kind: 'text', text: '1' } }],
      [{ path: 'two', content: { kind: 'text', text: '2' } }],
    ],
  };

  test('has the same bytes each time', async () => {
    const [first, second] = [join(folder, '1.tar'), join(folder, '2.tar')];
    expect(await writeImage(spec, first)).toBe(await writeImage(spec, second));
    expect(await readFile(first)).toEqual(await readFile(second));
  });

  test('names its configuration and layers by their digests', async () => {
    const file = join(folder, 'image.tar');
    const id = await writeImage(spec, file);
    const [manifest] = JSON.parse(tar('-xOf', file, 'manifest.json')) as {
      Config: string;
      RepoTags: string[];
      Layers: string[];
    }[];
    expect(manifest?.RepoTags).toEqual(['localhost/test:1']);
    expect(manifest?.Config).toBe(`${id.slice('sha256:'.length)}.json`);
    const config = JSON.parse(tar('-xOf', file, manifest?.Config ?? '')) as { rootfs: { diff_ids: string[] } };
    const digests = manifest?.Layers.map((layer) => {
      const bytes = execFileSync('tar', ['-xOf', file, layer]);
      return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    });
    expect(config.rootfs.diff_ids).toEqual(digests);
  });

  test('says what a container runs', () => {
    const config = JSON.parse(imageConfig(spec.config, [])) as { config: unknown };
    expect(config.config).toEqual({
      Entrypoint: ['/run'],
      User: '65532',
      Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'A=b'],
    });
  });
});

test('finds the libraries that ldd lists', () => {
  const output = `	linux-vdso.so.1 (0x00007ffd5d9f2000)
	libdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f1)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2)
	libmissing.so => not found
	/lib64/ld-linux-x86-64.so.2 (0x00007f3)
`;
  expect(parseLdd(output)).toEqual([
    '/lib/x86_64-linux-gnu/libdl.so.2',
    '/lib/x86_64-linux-gnu/libc.so.6',
    '/lib64/ld-linux-x86-64.so.2',
  ]);
});
