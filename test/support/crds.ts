import type { Cluster } from '../cluster/cluster.ts';
import { waitFor } from '../cluster/wait.ts';
import { repository } from './build.ts';

/** Installs the CRDs of this working tree, or brings them up to date; resolves when they are served. */
export async function applyCrds(cluster: Cluster): Promise<void> {
  await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', `${repository}crds`]);
  const names = ['agents', 'sessions', 'apikeys'].map((plural) => `crd/${plural}.bullpen.dev`);
  // Established comes a moment before the API server has readied their storage.
  await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=90s', ...names]);
  await waitFor(() => cluster.kubectl(['get', 'agents,sessions,apikeys', '--namespace', 'default']), {
    what: 'our resources to be served',
    timeoutMs: 90_000,
  });
}
