import { afterAll, beforeAll } from 'vitest';
import type { AgentSpecInput } from '../../src/api/agent.ts';
import { apiVersion } from '../../src/api/names.ts';
import { agents } from '../../src/api/resources.ts';
import type { Session } from '../../src/api/session.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { CommandOutput } from '../cluster/run.ts';
import { imageNames } from '../cluster/base-images.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { loadBullpenImage } from './bullpen-image.ts';
import { dropAccount } from './controller-account.ts';
import { ControllerProcess, type ControllerOptions } from './controller-process.ts';
import { applyCrds } from './crds.ts';
import { ECHO_AGENT_IMAGE, loadEchoAgentImage } from './example-images.ts';
import { TestKube } from './kube.ts';

/** Promises about time are held to this many times their figure: a busy machine is no bug. What was measured is printed. */
export const SLOW_MACHINE = 2;

/** A pod template with little CPU and memory, because many run side by side on one small node; and what else it says. */
export function smallPod({ container = {}, ...spec }: { container?: object; [field: string]: unknown } = {}) {
  const resources = { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '128Mi' } };
  return { spec: { ...spec, containers: [{ name: 'agent', imagePullPolicy: 'Never', resources, ...container }] } };
}

/** The command of an agent that is a script of Node.js, in the image of the example; `/app/server.mjs` is that agent itself. */
export function nodeScript(script: string): { command: string[] } {
  return { command: ['/usr/local/bin/node', '--input-type=module', '--eval', script] };
}

/**
 * An agent in an image that runs as root unless its pod says otherwise: busybox, with a server of a few lines of shell. It writes who it
 * is, and answers every session at once.
 */
export const ROOT_AGENT = {
  image: imageNames.busybox,
  command: ['sh', '-c'],
  args: [
    `cat > /tmp/answer <<'END'
#!/bin/sh
while read -r name value && [ "$name" != "$(printf '\\r')" ]; do
  [ "$name" = content-length: ] && length=\${value%?}
done
head -c "\${length:-0}" > /dev/null
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}'
END
chmod +x /tmp/answer; echo "uid $(id -u)"; exec nc -ll -p "$PORT" -e /tmp/answer`,
  ],
  // It does not act on SIGTERM.
  terminationGracePeriodSeconds: 1,
};

export interface BullpenOptions {
  /** Labels of the namespace, for example the pod security standard that it enforces. */
  labels?: Record<string, string>;
  /** More namespaces that the file makes and its controller serves. */
  alsoWatch?: string[];
  /** Whether the file's Agents are of protocol Http: the node gets the images of the supervisor and of the example. */
  http?: boolean;
  /** More of the controller's configuration. */
  config?: ControllerOptions['config'];
}

/**
 * What a test file on a real node works with: a namespace of its own and a controller that serves it alone. Registers
 * the hooks that make both before the file's tests and end them afterwards.
 */
export async function useBullpen(namespace: string, options: BullpenOptions = {}): Promise<Bullpen> {
  const bullpen = new Bullpen(await connectCluster(), namespace);
  beforeAll(() => bullpen.open(options));
  afterAll(() => bullpen.close());
  return bullpen;
}

export class Bullpen {
  readonly cluster: Cluster;
  readonly kube: TestKube;
  readonly namespace: string;
  #options: BullpenOptions = {};
  #controller: ControllerProcess | undefined;

  constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.kube = new TestKube(cluster, namespace);
  }

  get controller(): ControllerProcess {
    if (this.#controller === undefined) throw new Error('the controller has not been started yet');
    return this.#controller;
  }

  async open(options: BullpenOptions): Promise<void> {
    this.#options = options;
    if (options.http === true) {
      await loadBullpenImage(this.cluster);
      await loadEchoAgentImage(this.cluster);
    }
    await applyCrds(this.cluster);
    await this.kube.createNamespace(options.labels);
    await this.#startController();
  }

  /** Kills the controller (SIGKILL) and starts another; resolves when that leads. */
  async replaceController(): Promise<void> {
    await this.controller.kill();
    await this.#startController();
  }

  /** Ends what still runs, so that it does not take from the tests that follow, and then the controller. */
  async close(): Promise<void> {
    await this.kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
    const held = { what: `the pods of ${this.namespace} to be let go`, timeoutMs: 60_000, intervalMs: 200 };
    await waitFor(async () => (await this.pods()).length === 0, held);
    for (const { level, msg, err } of this.#controller?.lines ?? []) {
      if (level === 'error' || level === 'text') report(`the controller said: ${msg} ${JSON.stringify(err)}`);
    }
    await this.#controller?.stop();
    await dropAccount(this.cluster, this.namespace);
    await this.kube.close();
  }

  /** An Agent of protocol Http that runs the example examples/echo-agent: what its sessions do stands in their bodies. */
  async echoAgent(name: string, spec: Partial<AgentSpecInput> = {}): Promise<void> {
    await this.kube.api.create(agents, this.namespace, {
      apiVersion,
      kind: 'Agent',
      metadata: { name },
      spec: {
        image: ECHO_AGENT_IMAGE,
        podTemplate: smallPod(),
        terminationGracePeriodSeconds: 5,
        ...spec,
      },
    });
  }

  /** The pods of an Agent that wait for a Session, once so many are ready. */
  async warmPods(agent: string, count: number): Promise<Pod[]> {
    return await this.kube.warmPods(agent, count);
  }

  /** kubectl in the namespace of the tests. */
  async kubectl(args: readonly string[], input?: unknown): Promise<CommandOutput> {
    const options = { timeoutMs: 120_000, ...(input !== undefined && { input: JSON.stringify(input) }) };
    return await this.cluster.kubectl(['--namespace', this.namespace, ...args], options);
  }

  /** What the agent of a session wrote. */
  async logs(session: Session, ...options: string[]): Promise<string> {
    return (await this.kubectl(['logs', session.status?.podName ?? '', ...options])).stdout;
  }

  /** Resolves when the agent of a session has written that. */
  async written(session: Session, text: string): Promise<void> {
    const options = { what: `the agent of ${session.metadata.name} to write "${text}"`, timeoutMs: 60_000 };
    await waitFor(async () => (await this.logs(session)).includes(text), { ...options, intervalMs: 200 });
  }

  /** When the agent of a session wrote a line, in Unix milliseconds: the container runtime notes it, on this machine's clock. */
  async wroteAt(session: Session, line: string): Promise<number> {
    const written = (await this.logs(session, '--container=agent', '--timestamps')).split('\n');
    const time = written.map((text) => text.split(' ')).find(([, ...words]) => words.join(' ') === line)?.[0];
    if (time === undefined) throw new Error(`the agent did not write "${line}", but:\n${written.join('\n')}`);
    return Date.parse(time);
  }

  /** All pods of the namespace, or of one of its sessions. */
  async pods(session?: Session): Promise<Pod[]> {
    const { items } = await this.kube.api.list(pods, { namespace: this.namespace });
    return session === undefined
      ? items
      : items.filter((pod) => pod.metadata.labels?.['bullpen.dev/session-uid'] === session.metadata.uid);
  }

  /** Resolves when a session, which may be deleted itself, has no pod any more. */
  async podsGone(session: Session): Promise<void> {
    for (const pod of await this.pods(session)) await this.kube.gone(pods, pod.metadata.name);
  }

  /** Asks for an eviction, as `kubectl drain` does; rejects when it is refused. */
  async evict(pod: string): Promise<void> {
    const path = `/api/v1/namespaces/${this.namespace}/pods/${pod}/eviction`;
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace: this.namespace } };
    await this.kubectl(['create', '--raw', path, '--filename', '-'], eviction);
  }

  async #startController(): Promise<void> {
    const { alsoWatch = [], config } = this.#options;
    this.#controller = await ControllerProcess.startLeading(this.cluster, {
      namespace: this.namespace,
      watchNamespaces: [this.namespace, ...alsoWatch],
      ...(config && { config }),
    });
  }
}

/** Tells whoever runs the tests what was measured. */
export function report(line: string): void {
  console.log(line);
}

/** Seconds since a moment, for people. */
export function secondsSince(moment: number, until = Date.now()): string {
  return `${((until - moment) / 1000).toFixed(2)} s`;
}

/** A script that runs until it is told to end, says so, and then ends with this code after so many seconds. */
export function untilTold({ goodbyeSeconds = 0, exitCode = 0 } = {}): string {
  const goodbye = goodbyeSeconds === 0 ? '' : `sleep ${goodbyeSeconds}; `;
  return `trap 'echo term; ${goodbye}exit ${exitCode}' TERM; echo start; while :; do sleep 60 & wait $!; done`;
}
