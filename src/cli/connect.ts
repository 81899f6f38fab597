import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/client.ts';
import { CliError, type Options, type Output, type Tools } from './command.ts';

/** Connects as kubectl would: by the kubeconfig, its current context and that context's namespace, unless options say otherwise. */
export function connect(
  { options, output }: { options: Options; output: Output },
  { userAgent, ...io }: Pick<Tools, 'print' | 'note' | 'signal'> & { userAgent: string },
): Tools {
  const config = new KubeConfig();
  const { kubeconfig, context, namespace } = options;
  if (typeof kubeconfig === 'string') config.loadFromFile(kubeconfig);
  else config.loadFromDefault();
  if (typeof context === 'string') config.setCurrentContext(context);
  const current = config.getContextObject(config.getCurrentContext());
  if (current === null && typeof context === 'string')
    throw new CliError(`The kubeconfig has no context "${context}".`, 2);
  const settings = { userAgent, clock: systemClock, random: Math.random };
  return {
    ...io,
    api: KubeClient.fromKubeConfig(config, settings),
    namespace: typeof namespace === 'string' ? namespace : (current?.namespace ?? 'default'),
    output,
    clock: systemClock,
    readFile: async (path) => (path === '-' ? await text(process.stdin) : await readFile(path, 'utf8')),
  };
}
