import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { sessionRecordFinalizer } from '../api/names.ts';
import { OUR_PODS } from '../controller/caches.ts';
import { readConfig } from '../controller/config.ts';
import { sleep, systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/client.ts';
import { isInvalid, isNotFound } from '../kube/errors.ts';
import { removeFinalizerPatch } from '../kube/finalizers.ts';
import { LeaderElector } from '../kube/leader-election.ts';
import type { KubeObject, Pod } from '../kube/objects.ts';
import { pods, refOf, secrets, type ObjectRef, type Resource } from '../kube/resources.ts';
import { createLogger } from '../telemetry/logger.ts';
import { version } from '../version.ts';

const deployments: Resource = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};
const PAGE = 200;
/** As the controller's: after it, the API server no longer carries a request of it out. */
const MUTATION_TIMEOUT_MS = 5000;

/**
 * Lets go of all session pods before an uninstall, so that no finalizer is left that nobody serves.
 *
 * Scales the controller to nothing and takes its lease, which the leader gives up as it stops: from then on nobody puts
 * the finalizer on a pod again, or makes signing keys. Sessions that run go on; their own deadline, which the kubelet keeps, still ends them.
 */
export async function runRelease(env: NodeJS.ProcessEnv, signal: AbortSignal, args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { deployment: { type: 'string' } } });
  const config = readConfig(env);
  const logger = createLogger({ level: config.log.level, program: 'release' });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const api = KubeClient.fromKubeConfig(kubeConfig, {
    userAgent: `bullpen-release/${version}`,
    clock: systemClock,
    random: Math.random,
    logger,
  });
  try {
    if (values.deployment !== undefined) await scaleDown(api, { namespace: config.namespace, name: values.deployment });
    const done = new AbortController();
    let released = 0;
    const elector = new LeaderElector({
      api,
      lease: { namespace: config.namespace, name: config.leaderElection.leaseName },
      identity: `${env['POD_NAME'] ?? hostname()}_release`,
      clock: systemClock,
      random: Math.random,
      logger,
    });
    await elector.run({
      signal: AbortSignal.any([signal, done.signal]),
      onLeading: async (leading, { cleanHandover }) => {
        // A leader that crashed may have a creation under way, which would put our finalizer on one more pod.
        if (!cleanHandover) await sleep(systemClock, MUTATION_TIMEOUT_MS, leading);
        const scopes = config.watchNamespaces.length === 0 ? [undefined] : config.watchNamespaces;
        for (const namespace of scopes) released += await releasePods(api, namespace, leading);
        // Nobody signs any more, and a key that is of no use is only a risk.
        const { keysSecret, gatewayKeysSecret } = config.supervisor;
        for (const name of [keysSecret, gatewayKeysSecret])
          await deleteKeys(api, { namespace: config.namespace, name });
        done.abort();
      },
    });
    if (!done.signal.aborted) throw new Error('stopped before all pods were let go');
    logger.info({ released }, 'session pods let go');
  } finally {
    await api.close();
  }
}

async function scaleDown(api: KubeClient, deployment: { namespace: string; name: string }): Promise<void> {
  try {
    await api.patch(
      deployments,
      deployment,
      { type: 'merge', body: { spec: { replicas: 0 } } },
      { subresource: 'scale' },
    );
  } catch (error) {
    if (!isNotFound(error)) throw error; // Deleted by hand already.
  }
}

async function deleteKeys(api: KubeClient, secret: ObjectRef): Promise<void> {
  try {
    await api.delete(secrets, secret);
  } catch (error) {
    if (!isNotFound(error)) throw error; // Never made, or deleted by an earlier try.
  }
}

async function releasePods(api: KubeClient, namespace: string | undefined, signal: AbortSignal): Promise<number> {
  let released = 0;
  let next: string | undefined;
  do {
    signal.throwIfAborted();
    const page = await api.list<Pod>(pods, { namespace, labelSelector: OUR_PODS, limit: PAGE, continue: next });
    for (const pod of page.items) released += await releasePod(api, pod);
    next = page.continue;
  } while (next !== undefined);
  return released;
}

async function releasePod(api: KubeClient, pod: KubeObject): Promise<number> {
  const ops = removeFinalizerPatch(pod, sessionRecordFinalizer);
  if (ops.length === 0) return 0;
  try {
    await api.patch(pods, refOf(pod), { type: 'json', ops });
    return 1;
  } catch (error) {
    if (isNotFound(error)) return 0;
    if (!isInvalid(error)) throw error;
    // Its finalizers have changed since the list: look again.
    return await releasePod(api, await api.get(pods, refOf(pod)));
  }
}
