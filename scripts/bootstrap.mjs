// Makes a fresh clone ready, then runs a program of the project with the project's own Node:
//   node scripts/bootstrap.mjs PROGRAM.ts [ARGUMENTS...]
// It runs before anything is installed, on whatever Node there is, so it is plain JavaScript without dependencies.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.installed-lockfile');
const [major = 0] = process.versions.node.split('.').map(Number);

if (major < 20) {
  console.error(
    `Bullpen's tools need Node.js 20 or newer to install themselves, and this is ${process.version}: install a newer one.`,
  );
  process.exit(1);
}

const lockfile = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lockfile) {
  console.error('Installing the npm packages of the project ...');
  const install = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (install.status !== 0) {
    console.error('npm ci failed: see above. Bullpen needs npm and a package registry that it can reach.');
    process.exit(1);
  }
  writeFileSync(stamp, lockfile);
}

const bin = join(modules, '.bin');
const [program, ...args] = process.argv.slice(2);
if (program !== undefined) {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
  // The child has the terminal, so Ctrl+C reaches it too: it decides, this process only passes on how it ended.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
  const { spawn } = await import('node:child_process');
  const child = spawn(join(bin, 'node'), [join(root, program), ...args], { stdio: 'inherit', env });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
}
