/**
 * Plays the kubelets of a bench in a process of its own, so that what it does is not in the way of the clock of the load generator.
 *
 *   node fake-nodes-program.ts KUBECONFIG NODES NAMESPACE
 *
 * Says `ready` when the nodes can take pods, and ends with its standard input. Whenever its parent sends a message, it answers
 * with the deliveries that are new in the namespace: fake-nodes.ts.
 */
import { isHttpPod } from '../cluster/fake-http-pod.ts';
import { startFakeKubelet } from '../cluster/fake-kubelet.ts';
import type { BotCall } from './fake-nodes.ts';
import { RUN_MS } from './workload.ts';

/**
 * A pod of protocol Http takes as long to be ready as on a real kubelet, so that a pool is as empty as it would be. Its kubelet reports
 * as little as kwok does, with which peers are measured: that it is ready, and that it is over.
 */
const HTTP_START = { startDelayMs: 1500, quiet: true };

const [kubeconfig = '', nodes = '1', namespace = ''] = process.argv.slice(2);

const kubelet = await startFakeKubelet({
  kubeconfig,
  nodes: Number(nodes),
  script: (pod) => {
    const afterMs = runMs(pod.metadata);
    if (isHttpPod(pod)) return { ...HTTP_START, ...(afterMs !== undefined && { bot: { afterMs } }) };
    return afterMs === undefined ? {} : { exit: { afterMs, code: 0 } };
  },
  onError: (error) => console.error(`fake kubelet: ${error.message}`),
});
let told = 0;
process.on('message', () => {
  const all = kubelet.deliveries(namespace);
  process.send?.(all.slice(told).map(({ sessionUid, at }): BotCall => ({ sessionUid, at })));
  told = all.length;
});
console.log('ready');
process.stdin.resume().on('end', () => {
  void kubelet.stop().then(() => process.exit(0));
});

/** How long the session of this pod runs, or undefined: until it is stopped. */
function runMs({ annotations, uid }: { annotations?: Record<string, string>; uid: string }): number | undefined {
  const [least, most] = (annotations?.[RUN_MS] ?? '').split('-').map(Number);
  if (least === undefined || most === undefined) return undefined;
  // The uid is random enough, and gives the same answer every time.
  const share = Number.parseInt(uid.slice(0, 8), 16) / 2 ** 32;
  return Math.round(least + share * (most - least));
}
