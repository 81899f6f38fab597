import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import type { Cluster } from '../test/cluster/cluster.ts';
import { freePorts, isFreeOnLoopback } from '../test/cluster/ports.ts';
import { commandEnvironment } from '../test/cluster/run.ts';
import { startCluster } from '../test/cluster/start-cluster.ts';
import { showUsage } from './cost.ts';
import { hasPipecatBot, installBullpen, loadAgentImages, uninstallBullpen } from './install.ts';
import { runWithKubectl } from './kubectl.ts';
import { findPrograms, type Programs } from './programs.ts';
import { openOrganization, runOverRest, talkToPipecatBot } from './rest.ts';
import { Tutorial } from './tutorial.ts';

const HELP = `Shows Bullpen at work on a real Kubernetes: starts or finds a cluster, builds the image, installs the chart,
deploys an agent and runs sessions over REST with Pipecat's own command line and library, and with kubectl,
and cleans up.

  npm run demo [-- --keep]

  --keep     leave the cluster and everything on it, to play with; says how to reach it and how to remove it
  --help     this text

Which cluster: the one that BULLPEN_TEST_KUBECONFIG names (its nodes must be able to get the image); else k3s in Docker; else a
Kubernetes made of local binaries, on Linux as root, which are built from source the first time (about eight minutes) and cached. Pipecat's client is installed from PyPI into a virtual environment
of its own, which is kept in ~/.cache/bullpen: it needs Python 3.11 or later.
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
    const programs = await findPrograms(cluster, log);
    try {
      await show(cluster, programs, values.keep);
    } finally {
      if (!values.keep) await programs.remove();
    }
  } finally {
    if (!values.keep) await cluster.stop();
  }
}

async function show(cluster: Cluster, { path, settings }: Programs, keep: boolean): Promise<void> {
  const env = commandEnvironment({ KUBECONFIG: cluster.kubeconfig, PIPECAT_CONFIG_PATH: settings });
  const tutorial = new Tutorial({ ...env, PATH: `${path}${delimiter}${env['PATH'] ?? ''}` });
  try {
    await installBullpen(tutorial, cluster);
    await loadAgentImages(cluster, log);
    await openOrganization(tutorial, (await isFreeOnLoopback(8000)) ? 8000 : ((await freePorts(1))[0] ?? 0));
    await runOverRest(tutorial);
    if (hasPipecatBot()) await talkToPipecatBot(tutorial);
    await runWithKubectl(tutorial);
    await showUsage(tutorial);
    if (keep) explainKept(cluster, path);
    else await uninstallBullpen(tutorial);
  } catch (error) {
    // A cluster of somebody else's stays: what the demo has put on it must not.
    if (!keep && cluster.provider === 'existing') await uninstallBullpen(tutorial).catch(() => undefined);
    throw error;
  } finally {
    tutorial.close();
  }
}

function log(line: string): void {
  console.log(`  ${line}`);
}

function explainKept(cluster: Cluster, path: string): void {
  console.log(`
Everything is still there. To play with it:

  export KUBECONFIG=${cluster.kubeconfig} PATH="${path}:$PWD/node_modules/.bin:$PATH"
  kubectl --namespace demo get agents,sessions,pods
  bullpen --help

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
