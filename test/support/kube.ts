import { KubeConfig } from '@kubernetes/client-node';
import type { Agent, AgentSpecInput } from '../../src/api/agent.ts';
import { apiVersion, labels } from '../../src/api/names.ts';
import type { Session, SessionSpec } from '../../src/api/session.ts';
import { agents, sessions } from '../../src/api/resources.ts';
import { systemClock } from '../../src/kube/clock.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import type { KubeObject, NewObject, Pod } from '../../src/kube/objects.ts';
import { namespaces, pods, type Resource } from '../../src/kube/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { isReady } from '../../src/pods/pod-facts.ts';
import { imageNames } from '../cluster/base-images.ts';
import { waitFor } from '../cluster/wait.ts';

/** How long a test waits for something that must happen; generous, because it may run on a slow machine. */
const PATIENCE_MS = 90_000;

/** A client with an admin's rights, for tests: what they do to the cluster, and what they see of it. */
export class TestKube {
  readonly api: KubeClient;
  readonly namespace: string;

  constructor(cluster: Cluster, namespace: string) {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    this.api = KubeClient.fromKubeConfig(config, {
      userAgent: 'bullpen-test',
      clock: systemClock,
      random: Math.random,
    });
    this.namespace = namespace;
  }

  async createNamespace(labels: Record<string, string> = {}): Promise<void> {
    await this.api.create(namespaces, undefined, { metadata: { name: this.namespace, labels } } as never);
  }

  /** An Agent that runs a shell script in the busybox image of the tests. */
  async createAgent(name: string, script: string, spec: Partial<AgentSpecInput> = {}): Promise<Agent> {
    return await this.api.create(agents, this.namespace, shellAgent(name, script, spec));
  }

  async createSession(
    name: string,
    spec: Partial<SessionSpec> & { agent: string },
    labels: Record<string, string> = {},
  ): Promise<Session> {
    return await this.api.create(sessions, this.namespace, {
      apiVersion,
      kind: 'Session',
      metadata: { name, labels },
      spec,
    });
  }

  /** The pods of an Agent that wait for a Session, once exactly so many are ready. */
  async warmPods(agent: string, count: number): Promise<Pod[]> {
    const labelSelector = `${labels.state}=warm,${labels.agent}=${agent}`;
    let ready: Pod[] = [];
    await waitFor(
      async () => {
        const { items } = await this.api.list(pods, { namespace: this.namespace, labelSelector });
        ready = items.filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined);
        return ready.length === count;
      },
      { what: `${count} warm pods of ${agent}`, timeoutMs: PATIENCE_MS, intervalMs: 100 },
    );
    return ready;
  }

  async session(name: string): Promise<Session> {
    return await this.api.get(sessions, { namespace: this.namespace, name });
  }

  async pod(name: string): Promise<Pod> {
    return await this.api.get(pods, { namespace: this.namespace, name });
  }

  /** Resolves when the controller has judged an Agent as it is now, and Sessions of it can be started. */
  async readyAgent(name: string): Promise<Agent> {
    return await this.when(agents, name, 'Ready', ({ metadata, status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' && status?.observedGeneration === metadata.generation;
    });
  }

  async patchSession(name: string, spec: Partial<SessionSpec>): Promise<void> {
    await this.api.patch(sessions, { namespace: this.namespace, name }, { type: 'merge', body: { spec } });
  }

  async patchAgent(name: string, spec: object): Promise<void> {
    await this.api.patch(agents, { namespace: this.namespace, name }, { type: 'merge', body: { spec } });
  }

  async deleteSession(
    name: string,
    propagationPolicy: 'Background' | 'Foreground' | 'Orphan' = 'Background',
  ): Promise<void> {
    await this.api.delete(sessions, { namespace: this.namespace, name }, { propagationPolicy });
  }

  /** The Session as soon as `holds` is true of it, by a watch. Rejects with what it was last when that takes too long. */
  async sessionWhen(name: string, what: string, holds: (session: Session) => boolean): Promise<Session> {
    return await this.when(sessions, name, what, holds);
  }

  async sessionInPhase(name: string, ...phases: string[]): Promise<Session> {
    return await this.sessionWhen(name, `phase ${phases.join(' or ')}`, (session) =>
      phases.includes(session.status?.phase ?? ''),
    );
  }

  /** Any object of the test's namespace as soon as `holds` is true of it. */
  async when<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    what: string,
    holds: (object: T) => boolean,
  ): Promise<T> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    let last: T | undefined;
    while (!signal.aborted) {
      try {
        const fieldSelector = `metadata.name=${name}`;
        const { items, resourceVersion } = await this.api.list(resource, { namespace: this.namespace, fieldSelector });
        last = items[0] ?? last;
        if (items[0] !== undefined && holds(items[0])) return items[0];
        for await (const event of this.api.watch(resource, {
          namespace: this.namespace,
          fieldSelector,
          resourceVersion,
          signal,
        })) {
          if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue;
          last = event.object;
          if (holds(event.object)) return event.object;
        }
      } catch (error) {
        if (!signal.aborted && !isTransient(error)) throw error;
      }
    }
    throw new Error(
      `${resource.kind} ${name} did not reach "${what}" in ${PATIENCE_MS / 1000} s; it is ${JSON.stringify(last, undefined, 1)}`,
    );
  }

  /** Resolves when the object is gone. */
  async gone<T extends KubeObject>(resource: Resource<T>, name: string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        const object = await this.api.get(resource, { namespace: this.namespace, name });
        if (Date.now() > deadline)
          throw new Error(`${resource.kind} ${name} is still there: ${JSON.stringify(object.metadata)}`);
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Deletes the namespace with all that is in it, and lets go of what a test without a controller left behind. */
  async close(): Promise<void> {
    await this.api.close();
  }
}

/** Faults may cut a test's own connection too: look again. */
function isTransient(error: unknown): boolean {
  return error instanceof Error && error.name === 'KubeError' && (error as { outcome?: string }).outcome === 'unknown';
}

/** An Agent of protocol Process with so little CPU and memory that many fit on a small node. */
export function shellAgent(name: string, script: string, spec: Partial<AgentSpecInput> = {}): NewObject<Agent> {
  const small = { cpu: '5m', memory: '16Mi' };
  return {
    apiVersion,
    kind: 'Agent',
    metadata: { name },
    spec: {
      protocol: 'Process',
      image: imageNames.busybox,
      command: ['sh', '-c'],
      args: [script],
      terminationGracePeriodSeconds: 2,
      podTemplate: {
        spec: { containers: [{ name: 'agent', resources: { requests: small, limits: { memory: '64Mi' } } }] },
      },
      ...spec,
    },
  };
}
