import { agents } from '../../src/api/resources.ts';
import type { Pod } from '../../src/kube/objects.ts';
import type { HttpStep, Pool, Step, Trouble } from './scenario.ts';
import type { Moment } from './telling.ts';
import { AGENT, NAMESPACE, NODES, type World } from './world.ts';

/** Carries out the steps that matter with protocol Http. */
export class HttpActor {
  readonly #world: World;
  readonly #others: { act: (step: Step) => void; withPod: (number: number, fn: (pod: Pod) => void) => void };
  /** Trouble that waits for its moment. */
  #armed: { moment: Moment; then: Trouble }[] = [];

  constructor(
    world: World,
    others: { act: (step: Step) => void; withPod: (n: number, fn: (pod: Pod) => void) => void },
  ) {
    this.#world = world;
    this.#others = others;
    world.happenings.onMoment((moment) => this.#strikeAt(moment));
  }

  act(step: HttpStep): void {
    const { cluster, podNetwork, clock, truth, kubelets } = this.#world;
    switch (step.do) {
      case 'changePool':
        this.patchAgent({ scaling: step.pool });
        return;
      case 'changePods': {
        const { do: _do, ...spec } = step;
        this.patchAgent(spec);
        return;
      }
      case 'strikeServer':
        this.#others.withPod(step.pod, (pod) => {
          truth.struck.add(pod.metadata.uid);
          kubelets.get(pod.spec.nodeName ?? '')?.strikeServer(pod, step.how);
        });
        return;
      case 'cordon':
        cluster.setCordoned(nodeOf(step.node), step.on);
        return;
      case 'cutNode': {
        truth.callTrouble = true;
        podNetwork.setCut(nodeOf(step.node), true);
        clock.setTimeout(() => podNetwork.setCut(nodeOf(step.node), false), step.forMs);
        return;
      }
      case 'agents':
        this.#world.agentsBoot = step.boot;
        for (const kubelet of kubelets.values()) kubelet.syncAll();
        return;
      case 'callFault':
        truth.callTrouble = true;
        this.#world.lease.holder.network.addFault(step.fault);
        return;
      case 'when':
        this.#armed.push({ moment: step.moment, then: step.then });
    }
  }

  heal({ nodes }: { nodes: boolean }): void {
    this.#armed = [];
    this.#world.podNetwork.heal();
    this.#world.agentsBoot = true;
    if (nodes) for (const node of NODES) this.#world.cluster.setCordoned(node, false);
  }

  /** Changes the Agent as far as the API server allows it. */
  patchAgent(changes: { protocol?: 'Http' | 'Process'; scaling?: Partial<Pool> & { maxAgents?: number } }): void {
    const spec = this.#world.agent()?.spec;
    if (spec === undefined) return;
    const scaling = { ...spec.scaling, ...changes.scaling } as Pool & { maxAgents: number };
    const body = { spec: { ...changes, scaling: allowedScaling(changes.protocol ?? spec.protocol, scaling) } };
    this.#world.server.patch(agents, { namespace: NAMESPACE, name: AGENT }, { type: 'merge', body }, { by: 'user' });
  }

  #strikeAt(moment: Moment): void {
    const trouble = this.#armed.find((armed) => armed.moment === moment);
    if (trouble === undefined) return;
    this.#armed = this.#armed.filter((other) => other !== trouble);
    // At this very moment, and not in the middle of what happens there.
    this.#world.clock.setTimeout(() => {
      try {
        this.#others.act(trouble.then);
      } catch (error) {
        this.#world.fail(error);
      }
    }, 0);
  }
}

function nodeOf(number: number): string {
  return NODES[number % NODES.length] ?? '';
}

/** The API server takes no Agent that wants more pods to wait than it may have, or any with protocol Process. */
export function allowedScaling(
  protocol: 'Http' | 'Process' | undefined,
  scaling: { maxAgents: number } & Partial<Pool>,
): { maxAgents: number } & Partial<Pool> {
  if (protocol === 'Process') return { ...scaling, minAgents: 0, buffer: { percent: 0, count: 0 } };
  return { ...scaling, minAgents: Math.min(scaling.minAgents ?? 0, scaling.maxAgents) };
}
