/**
 * Plays the kubelets of a bench in a process of its own, so that what it does is not in the way of the clock of the load generator.
 *
 *   node fake-nodes-program.ts KUBECONFIG NODES
 *
 * Says `ready` when the nodes can take pods, and ends with its standard input.
 */
import { startFakeKubelet } from '../cluster/fake-kubelet.ts';
import { RUN_MS } from './workload.ts';

const [kubeconfig = '', nodes = '1'] = process.argv.slice(2);

const kubelet = await startFakeKubelet({
  kubeconfig,
  nodes: Number(nodes),
  script: ({ metadata }) => {
    const [least, most] = (metadata.annotations?.[RUN_MS] ?? '').split('-').map(Number);
    if (least === undefined || most === undefined) return {};
    // The uid is random enough, and gives the same answer every time.
    const share = Number.parseInt(metadata.uid.slice(0, 8), 16) / 2 ** 32;
    return { exit: { afterMs: Math.round(least + share * (most - least)), code: 0 } };
  },
  onError: (error) => console.error(`fake kubelet: ${error.message}`),
});
console.log('ready');
process.stdin.resume().on('end', () => {
  void kubelet.stop().then(() => process.exit(0));
});
