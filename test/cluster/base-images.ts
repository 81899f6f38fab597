import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageSpec } from './image.ts';
import { findProgram, run } from './run.ts';
import type { TarEntry } from './tar.ts';

/** Images that the tests' pods use, made from programs of this machine; nothing is pulled. */
export const imageNames = {
  pause: 'localhost/bullpen-test/pause:1',
  busybox: 'localhost/bullpen-test/busybox:1',
  node: 'localhost/bullpen/node:24',
  python: 'localhost/bullpen/python:3',
} as const;

/** User and group that containers of ours run as, the one that distroless images call `nonroot`. */
export const nonroot = 65532;

/** What holds a pod's namespaces: it sleeps until it is killed. */
export async function pauseImage(): Promise<ImageSpec> {
  const config = { entrypoint: ['/bin/busybox', 'sleep', 'infinity'], user: String(nonroot) };
  return { name: imageNames.pause, config, layers: [await busyboxFiles()] };
}

/**
 * A shell with the usual small tools, also a web server (`httpd`) and client (`wget`), for scripted agents. Debian's `wget -T` crashes;
 * `timeout 3 wget` works.
 */
export async function busyboxImage(): Promise<ImageSpec> {
  const applets = (await run('busybox', ['--list'])).stdout.trim().split('\n').sort();
  const links = applets
    .filter((name) => name !== 'busybox')
    .map((name): TarEntry => ({ path: `bin/${name}`, mode: 0o777, content: { kind: 'link', target: 'busybox' } }));
  return {
    name: imageNames.busybox,
    config: { cmd: ['sh'] },
    layers: [[...accounts(), ...(await busyboxFiles()), ...links]],
  };
}

/** Node.js of this project with the libraries it loads: the base under images of our own programs. */
export async function nodeImage(): Promise<ImageSpec> {
  const program = await realpath(join(import.meta.dirname, '../../node_modules/node/bin/node'));
  const certificates = await readFile('/etc/ssl/certs/ca-certificates.crt').catch(() => Buffer.alloc(0));
  const files = [
    ...accounts(),
    text('etc/ssl/certs/ca-certificates.crt', certificates),
    ...(await programFiles('usr/local/bin/node', program)),
  ];
  const config = { entrypoint: ['/usr/local/bin/node'], user: `${nonroot}:${nonroot}`, workdir: '/' };
  return { name: imageNames.node, config, layers: [files] };
}

/** Paths of the libraries that `ldd` lists, in its order. */
export function parseLdd(output: string): string[] {
  const paths = output.split('\n').map((line) => /(?:=>\s+|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1]);
  return [...new Set(paths.filter((path) => path !== undefined))];
}

async function busyboxFiles(): Promise<TarEntry[]> {
  const program = await findProgram('busybox');
  if (program === undefined)
    throw new Error('busybox is needed for the images of tests (Debian package busybox-static)');
  return programFiles('bin/busybox', await realpath(program));
}

/** A program and the libraries it loads; a static one loads none, which `ldd` calls an error. */
async function programFiles(path: string, program: string): Promise<TarEntry[]> {
  const libraries = await run('ldd', [program], { env: { LC_ALL: 'C' } }).then(
    ({ stdout }) => parseLdd(stdout),
    () => [],
  );
  return Promise.all([...libraries.map((library) => fileEntry(library.slice(1), library)), fileEntry(path, program)]);
}

async function fileEntry(path: string, source: string): Promise<TarEntry> {
  // stat, not lstat: libraries are often links to files with longer names.
  const { size } = await stat(source);
  return { path, mode: 0o755, content: { kind: 'file', path: source, size } };
}

/** What programs ask for who they are and for a place for temporary files. */
export function accounts(): TarEntry[] {
  return [
    text(
      'etc/passwd',
      `root:x:0:0:root:/root:/bin/sh\nnonroot:x:${nonroot}:${nonroot}:nonroot:/home/nonroot:/bin/sh\n`,
    ),
    text('etc/group', `root:x:0:\nnonroot:x:${nonroot}:\n`),
    text('etc/nsswitch.conf', 'hosts: files dns\n'),
    { path: 'home/nonroot', mode: 0o700, uid: nonroot, gid: nonroot, content: { kind: 'directory' } },
    { path: 'tmp', mode: 0o1777, content: { kind: 'directory' } },
  ];
}

function text(path: string, content: string | Uint8Array): TarEntry {
  return { path, content: { kind: 'text', text: content } };
}
