import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/client.ts';
import { CliError, type Options, type Output, type Tools } from './command.ts';

/** Connects as kubectl would: by the kubeconfig, its current context and that context's namespace, unless options say otherwise. */
export function connect(
  { options, output }: { options: Options; output: Output },
  { userAgent, ...io }: Pick<Tools, 'print' | 'note' | 'interrupted'> & { userAgent: string },
): Tools {
  const config = readKubeconfig(options['kubeconfig']);
  const { context, namespace } = options;
  if (typeof context === 'string') config.setCurrentContext(context);
  const current = config.getContextObject(config.getCurrentContext());
  if (current === null && typeof context === 'string')
    throw new CliError(`The kubeconfig has no context "${context}": see kubectl config get-contexts`, 2);
  if (current === null)
    throw new CliError('The kubeconfig has no current context: kubectl config use-context NAME, or give --context');
  const settings = { userAgent, clock: systemClock, random: Math.random };
  return {
    ...io,
    api: KubeClient.fromKubeConfig(config, settings),
    namespace: typeof namespace === 'string' ? namespace : current.namespace || 'default',
    output,
    clock: systemClock,
    readFile: async (path) => textOf(path === '-' ? await buffer(process.stdin) : await readFile(path)),
  };
}

/** Other bytes would be replaced without a word, and the agent told something else. */
function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Error('it is not text in UTF-8');
  return bytes.toString('utf8');
}

/** Where the library goes when it has found no kubeconfig, and is in no pod either. */
const NOWHERE = 'http://localhost:8080';

function readKubeconfig(path: Options[string]): KubeConfig {
  const config = new KubeConfig();
  try {
    if (typeof path === 'string') config.loadFromFile(path);
    else config.loadFromDefault();
  } catch (error) {
    const where = typeof path === 'string' ? path : (process.env['KUBECONFIG'] ?? '~/.kube/config');
    const [why = ''] = (error as Error).message.split('\n');
    throw new CliError(`Cannot read the kubeconfig ${where}: ${why}`);
  }
  if (config.getCurrentContext() === 'loaded-context' && config.getCurrentCluster()?.server === NOWHERE)
    throw new CliError('There is no kubeconfig: give --kubeconfig, set KUBECONFIG, or make ~/.kube/config');
  return config;
}
