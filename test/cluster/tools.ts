import { ensureBinary } from './binaries.ts';
import type { Cluster } from './cluster.ts';
import { findProgram, run } from './run.ts';

/**
 * kubectl and helm for a cluster. With local binaries they are those that belong to it; elsewhere those on PATH, if there are any,
 * so that a machine with Docker needs no Go.
 */
export function clusterTools(
  kubeconfig: string,
  provider: Cluster['provider'],
  log: (line: string) => void,
): Pick<Cluster, 'kubectl' | 'helm'> {
  const tool =
    (name: 'kubectl' | 'helm'): Cluster['kubectl'] =>
    async (args, options = {}) =>
      run(await toolPath(name, provider, log), args, { ...options, env: { ...options.env, KUBECONFIG: kubeconfig } });
  return { kubectl: tool('kubectl'), helm: tool('helm') };
}

/** Where the kubectl or helm is that {@link clusterTools} uses; builds it if need be. */
export async function toolPath(
  name: 'kubectl' | 'helm',
  provider: Cluster['provider'],
  log: (line: string) => void,
): Promise<string> {
  const installed = provider === 'binaries' ? undefined : await findProgram(name);
  return installed ?? (await ensureBinary(name, log)).path;
}
