/**
 * Bundles the programs into `dist/main.js`: one file, because a controller must not spend a second on importing packages. The command line is
 * `dist/cli.js` and the parts that it loads as it needs them. `node --enable-source-maps dist/main.js controller` runs it. The supervisor has a file of its own, `dist/supervisor.js`:
 * it is in every session pod, and must start and live with as little as can be. An argument names another folder than `dist`:
 * a run of tests has its own, so that a build beside it does not take the programs away.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { thirdPartyNotices } from './third-party-notices.ts';
import { ownSourceMap, type SourceMap } from './own-source-map.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = resolve(process.argv[2] ?? `${root}dist`);

/** Packages in CommonJS call require(), which a module does not have. */
const requireForCommonJs = [
  `import { createRequire as bullpenCreateRequire } from 'node:module';`,
  `const require = bullpenCreateRequire(import.meta.url);`,
].join('\n');

/**
 * The client's generated models (and its exec, copy, log helpers) do nothing when imported, but its package.json does
 * not say so. Said here, only what is used gets into the bundle.
 */
const dropUnusedModels: Plugin = {
  name: 'drop-unused-models',
  setup(esbuild) {
    const entry = fileURLToPath(import.meta.resolve('@kubernetes/client-node'));
    esbuild.onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: entry, sideEffects: false }));
    esbuild.onResolve({ filter: /^\..*\.js$/ }, ({ path, importer, resolveDir }) =>
      importer.startsWith(dirname(entry)) ? { path: join(resolveDir, path), sideEffects: false } : undefined,
    );
  },
};

/**
 * Node makes the exports of a built-in module anew for those who import it, and reads all of them for that. To read `WebSocket` of
 * `node:http` loads a whole fetch: 13 MB and 0.08 s that none of the programs needs. Asked for in the old way, nothing is read.
 */
const httpWithoutFetch: Plugin = {
  name: 'http-without-fetch',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'http', namespace: 'built-in' }));
    esbuild.onLoad({ filter: /^http$/, namespace: 'built-in' }, () => ({
      contents: `module.exports = process.getBuiltinModule('node:http');`,
    }));
  },
};

const { name, version, license } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as Record<string, string>;

await rm(dist, { recursive: true, force: true });
const common = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  plugins: [httpWithoutFetch, dropUnusedModels],
  banner: { js: requireForCommonJs },
  // Less to parse at the start. Names stay, for stack traces, and lines stay short: Node prints the line of a crash.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 200,
  define: {
    BULLPEN_VERSION: JSON.stringify(version),
    // ws looks for these two native packages, which are not there, in every folder above.
    'process.env.WS_NO_BUFFER_UTIL': '"1"',
    'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
  },
  sourcemap: 'linked',
  sourcesContent: false,
  // They are in dist/LICENSES.txt, with the licences that stand in files.
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;

const built = await Promise.all([
  build({ ...common, entryPoints: { main: 'src/main.ts', supervisor: 'src/supervisor-main.ts' } }),
  // In parts, so that what a command does not need is not even read.
  build({ ...common, entryPoints: { cli: 'src/cli-main.ts' }, splitting: true, chunkNames: 'cli/[name]-[hash]' }),
]);
const outputs = Object.assign({}, ...built.map(({ metafile }) => metafile.outputs)) as Metafile['outputs'];

for (const output of Object.keys(outputs).filter((path) => path.endsWith('.map'))) {
  const path = resolve(root, output);
  const map = JSON.parse(await readFile(path, 'utf8')) as SourceMap;
  await writeFile(path, JSON.stringify(ownSourceMap(map)));
}
const bundled = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs));
await writeFile(`${dist}/LICENSES.txt`, await thirdPartyNotices(bundled, root));
await writeFile(`${dist}/package.json`, `${JSON.stringify({ name, version, license, type: 'module' }, null, 2)}\n`);
