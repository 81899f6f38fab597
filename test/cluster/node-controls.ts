import { waitForNode } from './node.ts';
import { containerdSocket } from './node-config.ts';
import { startAgain, stopProcess } from './process.ts';
import { run } from './run.ts';

/** What a test may do to the node that no API offers. */
export interface NodeControls {
  name: string;
  /** Stops the kubelet (SIGTERM) and waits until it is gone; containers run on. */
  stopKubelet(): Promise<void>;
  /** Starts it again and waits until the node is ready. */
  startKubelet(): Promise<void>;
  /** Kills the process that holds the pod's namespaces, as a crash of the runtime would. */
  killSandbox(namespace: string, pod: string): Promise<void>;
  /** Kills the first process of a running container with SIGKILL. */
  killContainer(namespace: string, pod: string, container: string): Promise<void>;
}

export function nodeControls(folder: string, name: string): NodeControls {
  const ctr = (...args: string[]): ReturnType<typeof run> =>
    run('ctr', ['--address', containerdSocket(folder), '--namespace', 'k8s.io', ...args]);

  const kill = async (what: string, labels: Record<string, string>): Promise<void> => {
    const filter = Object.entries(labels).map(([label, value]) => `labels."${label}"==${value}`);
    const found = (await ctr('containers', 'list', '--quiet', filter.join(','))).stdout.split('\n');
    // Containers that ended stay listed until the kubelet removes them; only those with a running task can be killed.
    const tasks = (await ctr('tasks', 'list')).stdout.split('\n').map((line) => line.trim().split(/\s+/));
    const running = tasks.filter(([id = '', , status]) => found.includes(id) && status === 'RUNNING');
    if (running.length === 0) throw new Error(`${what} does not run on this node`);
    for (const [id = ''] of running) await ctr('tasks', 'kill', '--signal', 'SIGKILL', id);
  };

  return {
    name,
    stopKubelet: () => stopProcess(folder, 'kubelet'),
    async startKubelet() {
      await startAgain(folder, 'kubelet');
      await waitForNode(folder);
    },
    killSandbox: (namespace, pod) =>
      kill(`the sandbox of pod ${namespace}/${pod}`, {
        'io.cri-containerd.kind': 'sandbox',
        'io.kubernetes.pod.namespace': namespace,
        'io.kubernetes.pod.name': pod,
      }),
    killContainer: (namespace, pod, container) =>
      kill(`container ${container} of pod ${namespace}/${pod}`, {
        'io.cri-containerd.kind': 'container',
        'io.kubernetes.pod.namespace': namespace,
        'io.kubernetes.pod.name': pod,
        'io.kubernetes.container.name': container,
      }),
  };
}
