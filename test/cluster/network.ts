import { findProgram, run } from './run.ts';
import type { Network } from './state.ts';

/** Services live inside the node's own network, so every cluster may use the same range. */
export const serviceCidr = '10.96.0.0/16';
/** First address of {@link serviceCidr}: the `kubernetes` Service. */
export const kubernetesServiceAddress = '10.96.0.1';

/** Where pods look for a name server. There is none unless a test installs one; then its Service takes this address. */
export const clusterDnsAddress = '10.96.0.10';

/** So many clusters with a node may run on one machine at once. */
const maxNetworks = 32;

/**
 * Network number `index`: 1,024 addresses for pods, and a link of two ends between the machine and the node.
 *
 * A node lives in a network namespace of its own: its bridge and its iptables rules cannot meet those of the machine or of another
 * test cluster, and go away with the namespace. It has no way out but the link, so pods reach the machine and nothing beyond.
 */
export function networkAt(index: number): Network {
  return {
    index,
    namespace: `bullpen-${index}`,
    hostLink: `bullpen${index}`,
    hostAddress: `10.214.${128 + index}.1`,
    nodeAddress: `10.214.${128 + index}.2`,
    podCidr: `10.214.${4 * index}.0/22`,
  };
}

/** Takes the first network that nobody uses: making a namespace succeeds for one process only. */
export async function claimNetwork(): Promise<Network> {
  let cause: unknown;
  for (let index = 0; index < maxNetworks; index += 1) {
    const network = networkAt(index);
    try {
      await run('ip', ['netns', 'add', network.namespace]);
      return network;
    } catch (error) {
      cause = error;
      if (!(error instanceof Error && error.message.includes('File exists'))) break;
    }
  }
  throw new Error('could not make a network namespace for the node; that needs root with CAP_SYS_ADMIN', { cause });
}

/** Connects the namespace with the machine. */
export async function connectNetwork(network: Network): Promise<void> {
  // Services between pods of one bridge need it. Where modules cannot be loaded (in a container), it is there or it is not.
  await run('modprobe', ['br_netfilter']).catch(() => undefined);
  const { namespace, hostLink, hostAddress, nodeAddress, podCidr } = network;
  await run('ip', ['link', 'add', hostLink, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
  await run('ip', ['addr', 'add', `${hostAddress}/30`, 'dev', hostLink]);
  await run('ip', ['link', 'set', hostLink, 'up']);
  const inside = (...args: string[]): Promise<unknown> => run('ip', ['-n', namespace, ...args]);
  await inside('link', 'set', 'lo', 'up');
  await inside('addr', 'add', `${nodeAddress}/30`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  // kube-proxy rewrites destinations, but without a route the kernel refuses before its rules run: one into a bridge to nowhere.
  await inside('link', 'add', 'services', 'type', 'bridge');
  await inside('link', 'set', 'services', 'up');
  await inside('route', 'add', serviceCidr, 'dev', 'services');
  await run('ip', ['route', 'add', podCidr, 'via', nodeAddress]);
  // What kube-proxy has no Service for is refused at once, above all questions for names: nobody should wait for a timeout.
  const refuse = ['FORWARD', 'OUTPUT'].map((chain) => `iptables -w -A ${chain} -d ${serviceCidr} -j REJECT`);
  const script = ['echo 1 > /proc/sys/net/ipv4/ip_forward', ...refuse].join(' && ');
  const [command, args] = inNetwork(network, 'sh', ['-c', script]);
  await run(command, args);
}

/** Removes the namespace with all in it, and the link. What is gone already is no error. */
export async function removeNetwork(network: Network): Promise<void> {
  const ignoreMissing = (error: unknown): void => {
    if (!(error instanceof Error && /No such file|Cannot find device/.test(error.message))) throw error;
  };
  await run('ip', ['link', 'del', network.hostLink]).catch(ignoreMissing);
  await run('ip', ['netns', 'del', network.namespace]).catch(ignoreMissing);
}

/** A command line that runs a program inside the namespace; only the network changes, mounts stay the machine's. */
export function inNetwork(network: Network, command: string, args: string[]): [string, string[]] {
  return ['nsenter', [`--net=/run/netns/${network.namespace}`, '--', command, ...args]];
}

/** Absolute path of a system program, for records that must name it exactly. */
export async function programPath(name: string): Promise<string> {
  const path = await findProgram(name);
  if (path === undefined) throw new Error(`${name} is not on PATH`);
  return path;
}
