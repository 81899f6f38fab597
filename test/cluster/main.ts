import { parseArgs } from 'node:util';
import type { ClusterSize } from './cluster.ts';
import { readRecords, isRunning } from './process.ts';
import { openCluster } from './open-cluster.ts';
import { startCluster } from './start-cluster.ts';
import { clustersFolder, kubeconfigOf, readState } from './state.ts';
import { tearDown } from './teardown.ts';
import { join } from 'node:path';

const help = `A Kubernetes on this machine to play with; the tests use clusters of their own.

  npm run cluster -- up   [--size node|control-plane]   start one (harmless if it runs); prints the line that selects it
  npm run cluster -- env  [--size ...]                  print that line again, for: eval "$(npm run --silent cluster -- env)"
  npm run cluster -- load ARCHIVE                       give an image archive (docker save) to the node
  npm run cluster -- down [--size ...]                  stop it and remove everything it left

  --size node            one real node: kubelet, containerd, kube-proxy (default; with local binaries it needs root)
  --size control-plane   an apiserver with its controllers, no node

It comes from Docker (k3s) if Docker answers and can pull; otherwise from binaries that are built from Go modules the first time
(about eight minutes) and kept in \${XDG_CACHE_HOME:-~/.cache}/bullpen.
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { size: { type: 'string', default: 'node' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  const [command, archive] = positionals;
  if (values.help || command === undefined) {
    console.log(help);
    return values.help ? 0 : 2;
  }
  const { size } = values;
  if (size !== 'node' && size !== 'control-plane') throw new Error(`--size is node or control-plane, not "${size}"`);
  const folder = join(clustersFolder(), `play-${size}`);
  switch (command) {
    case 'up':
      await up(size, folder);
      return 0;
    case 'env':
      if (!(await isUp(folder)))
        throw new Error(`no cluster of size ${size} runs: npm run cluster -- up --size ${size}`);
      printEnvironment(folder);
      return 0;
    case 'load':
      if (archive === undefined) throw new Error('load needs the path of an image archive');
      await (await openCluster(folder, log)).loadImage(archive);
      return 0;
    case 'down':
      await tearDown(folder);
      return 0;
    default:
      throw new Error(`there is no command "${command}"; see --help`);
  }
}

async function up(size: ClusterSize, folder: string): Promise<void> {
  if (!(await isUp(folder))) {
    // What is left of one that was started but does not run, for example since the machine was restarted.
    await tearDown(folder);
    await startCluster({ size, id: `play-${size}`, detached: true, providers: ['k3s', 'binaries'], log });
  }
  printEnvironment(folder);
}

async function isUp(folder: string): Promise<boolean> {
  const state = await readState(folder);
  if (state?.ready !== true) return false;
  const running = await Promise.all((await readRecords(folder)).map(isRunning));
  if (!running.every(Boolean)) return false;
  const cluster = await openCluster(folder, log);
  return cluster.kubectl(['get', '--raw', '/readyz'], { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

function printEnvironment(folder: string): void {
  console.log(`export KUBECONFIG=${kubeconfigOf(folder)}`);
}

/** Standard output is for the one line that a shell may evaluate. */
function log(line: string): void {
  console.error(line);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
