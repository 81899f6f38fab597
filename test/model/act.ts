import { agentSpec } from '../../src/api/agent.ts';
import { labels, startedByGateway, sessionRecordFinalizer } from '../../src/api/names.ts';
import type { Session } from '../../src/api/session.ts';
import { agents, sessions } from '../../src/api/resources.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { nodes, pods } from '../../src/kube/resources.ts';
import { isFinished } from '../../src/api/session-phase.ts';
import { isTerminal } from '../../src/pods/pod-facts.ts';
import type { AgentChoice, Scenario, SessionChoice, Step } from './scenario.ts';
import type { Fault } from './network.ts';
import { allowedScaling, HttpActor } from './http-act.ts';
import { AGENT, NAMESPACE, NODES, type World } from './world.ts';

const USER = 'user';

/** Carries the steps of a scenario out. */
export class Actor {
  readonly #world: World;
  readonly #agent: AgentChoice;
  /** All that were ever created, by name and in order. */
  readonly #names: string[] = [];
  readonly #http: HttpActor;

  constructor(world: World, { setting }: Scenario) {
    this.#world = world;
    this.#http = new HttpActor(world, {
      act: (step) => this.act(step),
      withPod: (number, fn) => this.#withPod(number, fn),
    });
    this.#agent = setting.agent;
  }

  createAgent(maxAgents: number): void {
    const { server } = this.#world;
    if (this.#world.agent() !== undefined) return;
    const { maxAgents: _max, pool, ...rest } = this.#agent;
    const { protocol = 'Process' } = rest;
    const scaling = allowedScaling(protocol, { maxAgents, ...pool });
    const spec = agentSpec.parse({ image: 'example/echo:1', ...rest, protocol, scaling });
    server.create(agents, NAMESPACE, { metadata: { name: AGENT }, spec } as never, USER);
  }

  act(step: Step): void {
    const { server, lease, cluster } = this.#world;
    switch (step.do) {
      case 'createSessions':
        for (let i = 0; i < step.count; i++)
          this.#createSession(`s${String(this.#names.length + 1).padStart(2, '0')}`, step.choice);
        return;
      case 'createAgain':
        this.#createAgain(step.session, step.choice);
        return;
      case 'deleteSession':
        this.#withSession(step.session, ({ metadata }) =>
          server.delete(sessions, metadata, { propagationPolicy: step.cascade, by: USER }),
        );
        return;
      case 'stopSession':
        this.#withSession(step.session, ({ metadata }) =>
          server.patch(sessions, metadata, { type: 'merge', body: { spec: { stop: true } } }, { by: USER }),
        );
        return;
      case 'deleteAgent':
        this.#world.truth.agentWasChanged = true;
        if (this.#world.agent() !== undefined)
          server.delete(agents, { namespace: NAMESPACE, name: AGENT }, { by: USER });
        return;
      case 'createAgent':
        this.createAgent(step.maxAgents);
        return;
      case 'changeAgent': {
        const { do: _do, maxAgents, ...rest } = step;
        this.#http.patchAgent({ ...rest, ...(maxAgents !== undefined && { scaling: { maxAgents } }) });
        return;
      }
      case 'deletePod':
        this.#withPod(step.pod, (pod) => this.#deletePod(pod, step.gracePeriodSeconds));
        return;
      case 'disruptPod':
        this.#withPod(step.pod, (pod) => this.#disrupt(pod, step.how));
        return;
      case 'strikeAgent':
        this.#withPod(step.pod, (pod) => {
          const reason = step.how === 'outOfMemory' ? 'OOMKilled' : 'Error';
          this.#world.truth.struck.add(pod.metadata.uid);
          this.#world.kubelets.get(pod.spec.nodeName ?? '')?.strike(pod, 137, reason);
        });
        return;
      case 'stripFinalizer':
        this.#withPod(step.pod, (pod) => this.#strip(pod));
        return;
      case 'unlabelPod':
        this.#withPod(step.pod, (pod) => this.#unlabel(pod));
        return;
      case 'node':
        this.#changeNode(NODES[step.node % NODES.length] ?? '', step.becomes);
        return;
      case 'scheduling':
        cluster.setScheduling(step.works);
        return;
      case 'images':
        this.#world.imagesCanBePulled = step.work;
        for (const kubelet of this.#world.kubelets.values()) kubelet.syncAll();
        return;
      case 'crash':
        lease.crash(step.sinceRenewalMs);
        return;
      case 'loseLease':
        lease.loseLease(step.sinceRenewalMs);
        return;
      case 'pauseLeader':
        lease.pause(step.ms, step.sinceRenewalMs);
        return;
      case 'handOver':
        lease.handOver();
        return;
      case 'fault':
        this.#world.truth.requestTrouble = true;
        if (step.fault.fate.kind === 'tooLate') this.#world.truth.promisesBroken = true;
        if (this.#losesPods(step.fault)) this.#world.truth.creationTrouble = true;
        lease.holder.network.addFault(step.fault);
        return;
      case 'lag':
        this.#replica(step.of).network.setLag(step.plural, step.ms);
        return;
      case 'breakWatches':
        this.#replica(step.of).network.breakWatches(step.plural);
        return;
      case 'stallWatches':
        this.#replica(step.of).network.stallWatches(step.plural);
        return;
      case 'compact':
        server.compact();
        return;
      case 'changePool':
      case 'changePods':
      case 'strikeServer':
      case 'cordon':
      case 'cutNode':
      case 'agents':
      case 'callFault':
      case 'when':
        this.#http.act(step);
    }
  }

  /** Everything works again, but what is lost stays lost. Nodes only when they are asked for. */
  heal(what: { nodes: boolean }): void {
    for (const replica of this.#world.replicas) replica.network.heal();
    this.#world.cluster.setScheduling(true);
    this.#world.imagesCanBePulled = true;
    this.#http.heal(what);
    if (what.nodes) for (const node of NODES) this.#changeNode(node, 'well');
    for (const kubelet of this.#world.kubelets.values()) kubelet.syncAll();
  }

  #createSession(name: string, choice: SessionChoice): void {
    const { server, clock, workloads } = this.#world;
    const { maxSessionDuration, ttlSecondsAfterFinished, startBeforeSeconds, overRest } = choice;
    const startBefore =
      startBeforeSeconds === undefined ? undefined : new Date(clock.now() + startBeforeSeconds * 1000).toISOString();
    const created = server.create(
      sessions,
      NAMESPACE,
      {
        metadata: { name, ...(overRest && { labels: { [labels.startedBy]: startedByGateway } }) },
        spec: { agent: AGENT, maxSessionDuration, ttlSecondsAfterFinished, startBefore },
      } as never,
      USER,
    );
    workloads.set(created.metadata.uid, choice.workload);
    if (!this.#names.includes(name)) this.#names.push(name);
  }

  #createAgain(number: number, choice: SessionChoice): void {
    const name = this.#names[number % this.#names.length];
    if (name === undefined) return;
    const ref = { namespace: NAMESPACE, name };
    if (this.#world.server.find(sessions, ref) !== undefined) this.#world.server.delete(sessions, ref, { by: USER });
    if (this.#world.server.find(sessions, ref) === undefined) this.#createSession(name, choice);
  }

  /** Sooner one that is not over. */
  #withSession(number: number, fn: (session: Session) => void): void {
    const all = this.#world.sessions();
    const open = all.filter((session) => !isFinished(session));
    const choice = open.length > 0 ? open : all;
    const session = choice[number % choice.length];
    if (session !== undefined) fn(session);
  }

  #withPod(number: number, fn: (pod: Pod) => void): void {
    const live = this.#world.pods().filter((pod) => !isTerminal(pod));
    const pod = live[number % live.length];
    if (pod !== undefined) fn(pod);
  }

  #deletePod(pod: Pod, gracePeriodSeconds?: number): void {
    this.#world.truth.disruptPod(pod);
    this.#world.server.delete(pods, pod.metadata, { gracePeriodSeconds, by: USER });
  }

  #disrupt(pod: Pod, how: 'evicted' | 'preempted' | 'tainted'): void {
    const { server, kubelets, truth } = this.#world;
    const reasons = {
      evicted: 'TerminationByKubelet',
      preempted: 'PreemptionByScheduler',
      tainted: 'DeletionByTaintManager',
    };
    if (pod.spec.nodeName === undefined) return;
    truth.disruptPod(pod);
    const why = { type: 'DisruptionTarget', status: 'True', reason: reasons[how] };
    const conditions = [...(pod.status.conditions ?? []), why];
    const ended = how === 'evicted' ? { phase: 'Failed', reason: 'Evicted', message: 'low on memory' } : {};
    server.force(pods, pod, (now) => ({ ...now, status: { ...now.status, ...ended, conditions } }), 'kubernetes');
    if (how === 'evicted') kubelets.get(pod.spec.nodeName)?.evict(pod);
    else server.delete(pods, pod.metadata, { uid: pod.metadata.uid, by: 'kubernetes' });
  }

  /** Somebody who knows better removes the finalizer, and the pod by force. */
  #strip(pod: Pod): void {
    const { server, truth } = this.#world;
    if (!this.#isRecorded(pod)) return;
    truth.disruptPod(pod);
    truth.stripped.add(pod.metadata.uid);
    const finalizers = (pod.metadata.finalizers ?? []).filter((name) => name !== sessionRecordFinalizer);
    server.force(pods, pod, (now) => ({ ...now, metadata: { ...now.metadata, finalizers } }), USER);
    if (server.find(pods, pod.metadata) !== undefined)
      server.delete(pods, pod.metadata, { gracePeriodSeconds: 0, by: USER });
  }

  /** Somebody takes the label off by which the controller watches its pods. */
  #unlabel(pod: Pod): void {
    if (!this.#isRecorded(pod)) return;
    this.#world.truth.unlabelled.add(pod.metadata.uid);
    const { [labels.managedBy]: _managedBy, ...rest } = pod.metadata.labels ?? {};
    this.#world.server.force(pods, pod, (now) => ({ ...now, metadata: { ...now.metadata, labels: rest } }), USER);
  }

  /** A Session may come to its end without a pod: it was not made, or not claimed. */
  #losesPods({ verb, plural }: Fault): boolean {
    return verb === 'create' || (this.#agent.protocol !== undefined && verb === 'patch' && plural === 'pods');
  }

  /** Until its Session says that it has this pod, the pod is the only record of that: whoever spoils it makes a second start. */
  #isRecorded(pod: Pod): boolean {
    const uid = pod.metadata.labels?.[labels.sessionUid];
    const session = this.#world.sessions().find(({ metadata }) => metadata.uid === uid);
    return session?.status?.podUID !== undefined;
  }

  #changeNode(node: string, becomes: 'silent' | 'deaf' | 'well' | 'gone'): void {
    const { cluster, kubelets, truth, server } = this.#world;
    const kubelet = kubelets.get(node);
    if (becomes === 'well') {
      if (server.find(nodes, { name: node }) === undefined) cluster.addNode(node);
      cluster.setNodeReady(node, 'True');
      kubelet?.start();
      return;
    }
    truth.troubleNode(node);
    kubelet?.stop();
    if (becomes === 'silent') cluster.setNodeReady(node, 'Unknown');
    if (becomes === 'gone') cluster.removeNode(node);
  }

  #replica(of: 'leader' | 'standby') {
    return of === 'leader' ? this.#world.lease.holder : this.#world.lease.standby;
  }
}
