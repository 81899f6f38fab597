import { parseArgs } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { agents, sessions } from '../api/resources.ts';
import { systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import type { Resource } from '../kube/resources.ts';
import { version } from '../version.ts';

/** `helm test`: the controller answers that it is ready, and the API server knows Agents and Sessions. Rejects with what is wrong. */
export async function runCheck(_env: NodeJS.ProcessEnv, signal: AbortSignal, args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { host: { type: 'string' }, port: { type: 'string', default: '8080' } },
  });
  const url = `http://${values.host ?? 'localhost'}:${values.port}/readyz`;
  const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the controller is not ready: ${text.trim()}`);
  process.stdout.write(`controller is ready\n`);

  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const api = KubeClient.fromKubeConfig(kubeConfig, {
    userAgent: `bullpen-check/${version}`,
    clock: systemClock,
    random: Math.random,
  });
  try {
    // The namespace of the pod that this runs in. The chart lets its account list both there, so any refusal is a finding.
    const namespace = kubeConfig.getContextObject(kubeConfig.currentContext)?.namespace ?? 'default';
    for (const resource of [agents, sessions] as Resource[]) {
      try {
        await api.list(resource, { limit: 1, namespace });
      } catch (error) {
        if (!(error instanceof KubeError && error.code === 404)) throw error;
        throw new Error(`the API server does not know ${resource.plural}: are the CRDs installed?`, { cause: error });
      }
      process.stdout.write(`${resource.plural}.${resource.group} are served\n`);
    }
  } finally {
    await api.close();
  }
}
