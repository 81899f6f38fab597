import { delimiter, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster } from '../test/cluster/start-cluster.ts';
import type { Cluster } from '../test/cluster/cluster.ts';
import { toolPath } from '../test/cluster/tools.ts';
import { installBullpen, runSessions, uninstallBullpen } from './steps.ts';
import { Tutorial } from './tutorial.ts';

const HELP = `Shows Bullpen at work on a real Kubernetes: starts or finds a cluster, builds the image, installs the chart,
runs sessions of an example agent in every way they can end, and cleans up.

  npm run demo [-- --keep]

  --keep     leave the cluster and everything on it, to play with; says how to reach it and how to remove it
  --help     this text

Which cluster: the one that BULLPEN_TEST_KUBECONFIG names (its nodes must be able to get the image); else k3s in Docker; else a
Kubernetes made of local binaries, on Linux as root, which are built from source the first time (about eight minutes) and cached.
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  console.log(
    'Bullpen demo: agent sessions as pods, on a real Kubernetes. Lines that begin with $ are what you would type.\n',
  );
  const cluster = await startCluster({
    size: 'node',
    log,
    ...(values.keep && { id: 'play-node', detached: true }),
  });
  try {
    const tools = [await toolPath('kubectl', cluster.provider, log), await toolPath('helm', cluster.provider, log)];
    const path = [...new Set(tools.map((tool) => dirname(tool)))].join(delimiter);
    const tutorial = new Tutorial({
      ...process.env,
      KUBECONFIG: cluster.kubeconfig,
      PATH: `${path}${delimiter}${process.env['PATH'] ?? ''}`,
    });
    try {
      await installBullpen(tutorial, cluster);
      await runSessions(tutorial, cluster);
    } catch (error) {
      // A cluster of somebody else's stays: what the demo has put on it must not.
      if (!values.keep && cluster.provider === 'existing') await uninstallBullpen(tutorial).catch(() => undefined);
      throw error;
    }
    if (values.keep) explainKept(cluster, path);
    else await uninstallBullpen(tutorial);
  } finally {
    if (!values.keep) await cluster.stop();
  }
}

function log(line: string): void {
  console.log(`  ${line}`);
}

function explainKept(cluster: Cluster, path: string): void {
  console.log(`
Everything is still there. To play with it:

  export KUBECONFIG=${cluster.kubeconfig} PATH="${path}:$PATH"
  kubectl get agents,sessions,pods

To remove it:

  helm uninstall bullpen -n bullpen-system`);
  if (cluster.folder !== undefined) console.log('  npm run cluster -- down');
}

try {
  await main();
} catch (error) {
  console.error(`\nThe demo stopped: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
