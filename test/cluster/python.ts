import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { accounts, imageNames, nonroot, parseLdd } from './base-images.ts';
import type { ImageSpec } from './image.ts';
import { withLock } from './lock.ts';
import { installPackages } from './packages.ts';
import { findProgram, run } from './run.ts';
import { cacheFolder } from './state.ts';
import { entriesOf, type TarEntry } from './tar.ts';

/** A Python of this machine, as it describes itself. */
interface Python {
  program: string;
  /** For example `3.11`: part of the name of the folder of its library. */
  series: string;
  version: string;
  /** The folder of its library; `libraries` is what that folder is in, `lib` or `lib64`. */
  library: string;
  libraries: string;
}

/** Fails unless this Python is of a series that we know, and can make virtual environments (which Debian packages apart). */
const describe = `
import ensurepip, json, os, platform, sys, sysconfig, venv
assert (3, 11) <= sys.version_info < (3, 14)
series = f"{sys.version_info.major}.{sys.version_info.minor}"
print(json.dumps({"program": os.path.realpath(sys.executable), "series": series, "version": platform.python_version(),
                  "library": sysconfig.get_path("platstdlib"), "libraries": sys.platlibdir}))
`;

/** Parts of Python's library that no server needs, and what is made again or comes from elsewhere. */
const leftOut =
  /^(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|config-.*|(site|dist)-packages)$/;

/**
 * Python, where the official images have it, with packages from PyPI: the base under images of Python programs. The first time it
 * is built from the machine's own Python, and the packages are downloaded; then it is kept in the cache.
 *
 * @param requirements path of a requirements.txt that names every package with its version, for wheels without dependencies
 */
export async function pythonImage(requirements: string, log: (line: string) => void): Promise<ImageSpec> {
  const python = await ensurePython(log);
  const files = await readableEntries(await ensureFiles(python, requirements, log));
  const env = {
    PYTHONPATH: `/${packagesFolder(python)}`,
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
  };
  const config = { entrypoint: ['/usr/local/bin/python3'], env, user: `${nonroot}:${nonroot}`, workdir: '/' };
  return { name: imageNames.python, config, layers: [accounts(), files] };
}

async function ensurePython(log: (line: string) => void): Promise<Python> {
  const found = await findPython();
  if (found !== undefined) return found;
  if (await installPackages(['python3', 'python3-venv'], log)) {
    const installed = await findPython();
    if (installed !== undefined) return installed;
  }
  throw new Error(
    'Images of Python programs need Python 3.11, 3.12 or 3.13 with venv: install it (Debian packages python3 and python3-venv).',
  );
}

/** The system's own comes first, so that machines with the same system make the same image. */
async function findPython(): Promise<Python | undefined> {
  const names = ['python3.11', 'python3.12', 'python3.13', 'python3'].flatMap((name) => [`/usr/bin/${name}`, name]);
  for (const name of names) {
    if ((await findProgram(name)) === undefined) continue;
    const described = await run(name, ['-I', '-c', describe]).catch(() => undefined);
    if (described !== undefined) return JSON.parse(described.stdout) as Python;
  }
  return undefined;
}

/** The folder that holds the files, built first if it is not in the cache: `CACHE/python/VERSION-HASH`. */
async function ensureFiles(python: Python, requirements: string, log: (line: string) => void): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([python, process.arch]));
  for (const file of [requirements, import.meta.filename]) hash.update(await readFile(file));
  const parent = join(cacheFolder(), 'python');
  const folder = join(parent, `${python.version}-${hash.digest('hex').slice(0, 16)}`);
  await mkdir(parent, { recursive: true });
  await withLock(join(parent, '.lock'), async () => {
    if (await exists(folder)) return;
    const started = Date.now();
    log(`installing ${requirements} for Python ${python.version} (only the first time)`);
    // A build that is killed leaves a draft, never half a folder under the right name.
    const draft = `${folder}.draft`;
    await rm(draft, { recursive: true, force: true });
    try {
      await build(python, requirements, draft);
      await rename(join(draft, 'root'), folder);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    log(`installed it in ${Math.round((Date.now() - started) / 1000)} s`);
  });
  return folder;
}

async function build(python: Python, requirements: string, draft: string): Promise<void> {
  const root = join(draft, 'root');
  const program = join(root, 'usr/local/bin/python3');
  await copyTo(program, python.program);
  const library = join(root, libraryFolder(python));
  await cp(python.library, library, { recursive: true, dereference: true, filter: (source) => wanted(source) });

  const environment = join(draft, 'environment');
  await run(python.program, ['-m', 'venv', environment]);
  const packages = join(root, packagesFolder(python));
  const what = ['--no-deps', '--only-binary=:all:', '--requirement', requirements];
  const how = ['--no-compile', '--no-input', '--disable-pip-version-check', '--quiet', '--target', packages];
  await run(join(environment, 'bin/python'), ['-m', 'pip', 'install', ...what, ...how]);
  await removeUnneeded(packages);

  // Files in our images are from 1970: compiled code that goes by the time of its source would be compiled again at each start.
  const compiled = ['--invalidation-mode=unchecked-hash', '-q', '-j0', '-s', root, '-p', '/', library];
  await run(python.program, ['-I', '-m', 'compileall', ...compiled]);

  const binaries = (await filesBelow(root)).filter((file) => /\.so(\.|$)/.test(basename(file)));
  const { stdout } = await run('ldd', [program, ...binaries], { env: { LC_ALL: 'C' } });
  const libraries = parseLdd(stdout).filter((path) => !path.startsWith(`${root}/`));
  for (const path of libraries) await copyTo(join(root, path), path);
}

function libraryFolder({ libraries, series }: Python): string {
  return `usr/local/${libraries}/python${series}`;
}

function packagesFolder(python: Python): string {
  return `${libraryFolder(python)}/site-packages`;
}

/** Tests of packages, type stubs, and commands, which name a Python that is not there. */
async function removeUnneeded(packages: string): Promise<void> {
  await rm(join(packages, 'bin'), { recursive: true, force: true });
  for (const entry of await readdir(packages, { recursive: true, withFileTypes: true })) {
    const unneeded = entry.isDirectory() ? entry.name === 'tests' : entry.name.endsWith('.pyi');
    if (unneeded) await rm(join(entry.parentPath, entry.name), { recursive: true, force: true });
  }
}

function wanted(source: string): boolean {
  return !leftOut.test(basename(source));
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Entries that everybody may read, whatever the umask was when the files were made. */
async function readableEntries(folder: string): Promise<TarEntry[]> {
  const entries = await entriesOf(folder);
  return entries.map((entry) => ({
    ...entry,
    mode: (entry.mode ?? 0) | (entry.content.kind === 'directory' ? 0o555 : 0o444),
  }));
}

async function copyTo(path: string, source: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await copyFile(source, path);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
