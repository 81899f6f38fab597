import type { Clock } from '../../src/kube/clock.ts';
import type { KubeObject, Node, OwnerReference, Pod } from '../../src/kube/objects.ts';
import { nodes, pods, type Resource } from '../../src/kube/resources.ts';
import { agents, sessions } from '../../src/api/resources.ts';
import { isTerminal } from '../../src/pods/pod-facts.ts';
import { isPodCommit, type ApiServer } from './api-server.ts';
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from './deletion.ts';

export interface ClusterDeps {
  server: ApiServer;
  clock: Clock;
  schedulingMs: number;
  collectionMs: number;
}

/** From the loss of a Node object to the removal of its pods. */
const POD_GC_MS = 20_000;

const PROPAGATION: ReadonlySet<string> = new Set([ORPHAN_FINALIZER, FOREGROUND_FINALIZER]);

/** The parts of Kubernetes beside the kubelets: scheduler, garbage collectors, node lifecycle. Each acts some time after its cause. */
export class Cluster {
  readonly #deps: ClusterDeps;
  #schedules = true;
  #sweepIsDue = false;

  constructor(deps: ClusterDeps) {
    this.#deps = deps;
    deps.server.subscribe((commit) => {
      if (isPodCommit(commit) && commit.type === 'ADDED')
        this.#later(deps.schedulingMs, () => this.#schedule(commit.object));
      const { deletionTimestamp } = commit.object.metadata;
      if (commit.type === 'DELETED' || deletionTimestamp !== undefined || commit.type === 'ADDED') this.#sweepLater();
    });
  }

  addNode(name: string): void {
    const ready = { type: 'Ready', status: 'True' };
    const made = this.#deps.server.create(nodes, undefined, { metadata: { name }, spec: {} }, 'cluster');
    this.#deps.server.force(nodes, made, (node) => ({ ...node, status: { conditions: [ready] } }), 'cluster');
  }

  setNodeReady(name: string, status: 'True' | 'Unknown'): void {
    const node = this.#deps.server.find(nodes, { name });
    if (node === undefined) return;
    const conditions = [{ type: 'Ready', status }];
    this.#deps.server.force(nodes, node, (now) => ({ ...now, status: { ...now.status, conditions } }), 'cluster');
  }

  /** Whether new pods may go to a node. */
  setCordoned(name: string, isCordoned: boolean): void {
    const node = this.#deps.server.find(nodes, { name });
    if (node === undefined) return;
    const cordon = (now: Node): Node => ({ ...now, spec: { ...now.spec, unschedulable: isCordoned } });
    this.#deps.server.force(nodes, node, cordon, 'cluster');
    if (!isCordoned) this.#scheduleAll();
  }

  removeNode(name: string): void {
    if (this.#deps.server.find(nodes, { name }) === undefined) return;
    this.#deps.server.delete(nodes, { name }, { by: 'cluster' });
    this.#later(POD_GC_MS, () => this.#collectPodsOf(name));
  }

  /** Whether pods get a node at the moment. */
  setScheduling(works: boolean): void {
    this.#schedules = works;
    if (works) this.#scheduleAll();
  }

  #later(ms: number, fn: () => void): void {
    this.#deps.clock.setTimeout(fn, Math.max(1, ms));
  }

  #scheduleAll(): void {
    for (const pod of this.#deps.server.list(pods)) this.#later(this.#deps.schedulingMs, () => this.#schedule(pod));
  }

  #schedule(seen: Pod): void {
    const { server } = this.#deps;
    const pod = server.find(pods, seen.metadata);
    if (pod?.metadata.uid !== seen.metadata.uid) return;
    if (pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined || isTerminal(pod)) return;
    const ready = server.list(nodes).filter((node) => isReady(node) && node.spec?.unschedulable !== true);
    const node = ready[Number(pod.metadata.resourceVersion) % ready.length];
    if (!this.#schedules || node === undefined) {
      const why = {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: '0/2 nodes are available',
      };
      server.force(pods, pod, (now) => ({ ...now, status: { ...now.status, conditions: [why] } }), 'scheduler');
      return;
    }
    const { name } = node.metadata;
    const conditions = [{ type: 'PodScheduled', status: 'True' }];
    const bind = (now: Pod): Pod => ({
      ...now,
      spec: { ...now.spec, nodeName: name },
      status: { ...now.status, conditions },
    });
    server.force(pods, pod, bind, 'scheduler');
  }

  /** As Kubernetes' PodGC: a pod of a node that is no more is declared failed, and deleted by force. */
  #collectPodsOf(node: string): void {
    const { server } = this.#deps;
    if (server.find(nodes, { name: node }) !== undefined) return;
    for (const pod of server.list(pods).filter(({ spec }) => spec.nodeName === node)) {
      if (!isTerminal(pod)) {
        const why = { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC' };
        const conditions = [...(pod.status.conditions ?? []), why];
        const fail = (now: Pod): Pod => ({ ...now, status: { ...now.status, phase: 'Failed', conditions } });
        server.force(pods, pod, fail, 'pod-gc');
      }
      const { uid } = pod.metadata;
      server.delete(pods, pod.metadata, { uid, gracePeriodSeconds: 0, by: 'pod-gc' });
    }
  }

  #sweepLater(): void {
    if (this.#sweepIsDue) return;
    this.#sweepIsDue = true;
    this.#later(this.#deps.collectionMs, () => {
      this.#sweepIsDue = false;
      this.#sweep();
    });
  }

  /** The garbage collector: dependents without owners go, and owners that were deleted with a say about dependents. */
  #sweep(): void {
    const { server } = this.#deps;
    for (const resource of [agents, sessions] as Resource[]) {
      for (const owner of server.list(resource)) this.#finishPropagation(resource, owner);
    }
    const uids = new Set([...server.list(agents), ...server.list(sessions)].map(({ metadata }) => metadata.uid));
    for (const pod of server.list(pods)) {
      const owners = pod.metadata.ownerReferences ?? [];
      if (owners.length === 0 || owners.some(({ uid }) => uids.has(uid))) continue;
      if (pod.metadata.deletionTimestamp !== undefined) continue;
      server.delete(pods, pod.metadata, { uid: pod.metadata.uid, propagationPolicy: 'Background', by: 'gc' });
    }
  }

  #finishPropagation(resource: Resource, owner: KubeObject): void {
    const { server } = this.#deps;
    const { deletionTimestamp, finalizers = [], uid } = owner.metadata;
    const pending = finalizers.filter((name) => PROPAGATION.has(name));
    if (deletionTimestamp === undefined || pending.length === 0) return;
    const isRef = (ref: OwnerReference): boolean => ref.uid === uid;
    const dependents = server.list(pods).filter((pod) => pod.metadata.ownerReferences?.some(isRef));
    if (pending.includes(ORPHAN_FINALIZER)) {
      for (const pod of dependents) {
        const ownerReferences = (pod.metadata.ownerReferences ?? []).filter((ref) => !isRef(ref));
        server.force(pods, pod, (now) => ({ ...now, metadata: { ...now.metadata, ownerReferences } }), 'gc');
      }
    }
    const left = finalizers.filter((name) => !pending.includes(name));
    server.force(resource, owner, (now) => ({ ...now, metadata: { ...now.metadata, finalizers: left } }), 'gc');
  }
}

function isReady(node: Node): boolean {
  return (node.status as Node['status'] | undefined)?.conditions?.some(({ status }) => status === 'True') ?? false;
}
