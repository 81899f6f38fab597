import type { Agent } from '../../src/api/agent.ts';
import { labels, managedBy, sessionRecordFinalizer } from '../../src/api/names.ts';
import type { Session } from '../../src/api/session.ts';
import { isFinished, isActive } from '../../src/api/session-phase.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { controllerRevisions } from '../../src/kube/resources.ts';
import { isWarm } from '../../src/controller/pool/warm-pods.ts';
import { isLive } from '../../src/pods/pod-facts.ts';
import { recordName } from '../../src/pods/revision-record.ts';
import { isHttp } from '../../src/pods/session-record.ts';
import { isPodCommit, type Commit } from './api-server.ts';
import { checkHttpReason } from './http-reasons.ts';
import { HttpInvariants } from './http-invariants.ts';
import { checkReason } from './reasons.ts';
import { Violation, type Invariant } from './violation.ts';
import { AGENT, World } from './world.ts';

/** Pending, also before there is a status, is where all begins. */
const ORDER = ['Pending', 'Starting', 'Running', 'Stopping', 'Ended'];

/** Looks at every single commit: what is wrong for a moment only is wrong. */
export class Invariants {
  readonly #world: World;
  /** How far behind the controller may be with what it knows of Agents, milliseconds. */
  readonly #blindnessMs: number;
  /** What the Agent's limit was, and since when; 0 while there is none. */
  readonly #limits: { since: number; max: number }[] = [{ since: -Infinity, max: 0 }];
  /** The pods ever bound, by the Session's uid, each as it was then; one, but with protocol Http. */
  readonly #podsOf = new Map<string, Pod[]>();
  readonly #http: HttpInvariants;

  constructor(world: World, blindnessMs: number) {
    this.#world = world;
    this.#http = new HttpInvariants(world);
    this.#blindnessMs = blindnessMs;
    world.server.subscribe((commit) => {
      try {
        this.#look(commit);
      } catch (error) {
        world.fail(error);
      }
    });
  }

  #look(commit: Commit): void {
    switch (commit.resource.plural) {
      case 'agents':
        this.#lookAtAgent(commit as Commit & { object: Agent });
        return;
      case 'sessions':
        if (commit.type !== 'DELETED') this.#lookAtSession(commit.object as Session, commit.old as Session | undefined);
        return;
      case 'pods':
        if (isPodCommit(commit)) this.#lookAtPod(commit);
        return;
      default:
    }
  }

  #lookAtAgent({ type, object, at }: Commit & { object: Agent }): void {
    const max = type === 'DELETED' || object.metadata.deletionTimestamp !== undefined ? 0 : maxAgentsOf(object);
    if (max !== this.#limits.at(-1)?.max) this.#limits.push({ since: at, max });
    if (type !== 'DELETED') this.#lookAtRevisions(object);
  }

  #lookAtRevisions({ metadata: { namespace = '', name }, status = {} }: Agent): void {
    for (const revision of [status.recordedRevision, status.lastReadyRevision]) {
      if (revision === undefined) continue;
      const record = this.#world.server.find(controllerRevisions, { name: recordName(name, revision), namespace });
      if (record === undefined) fail('Revisions', `${name} says ${revision}, and there is no record of it`);
    }
  }

  #lookAtPod({ type, object, old, by }: Commit & { object: Pod; old: Pod | undefined }): void {
    const uid = object.metadata.labels?.[labels.sessionUid];
    if (type === 'ADDED') this.#lookAtNewPod(object);
    if (uid === undefined) return;
    if (type === 'ADDED') this.#lookAtBinding(object, uid);
    if (!World.isController(by) || old === undefined) return;
    if (isWarm(old) && !isWarm(object)) {
      this.#http.lookAtClaim(object, old);
      this.#lookAtBinding(object, uid);
      return;
    }
    this.#lookAtLetGo(object, old, uid);
    if (old.metadata.labels?.[labels.sessionUid] !== uid) fail('I2', `${object.metadata.name} changed its Session`);
    if (object.metadata.ownerReferences?.some(({ kind }) => kind !== 'Session'))
      fail('I7', `${object.metadata.name} is owned by something else than its Session`);
  }

  #lookAtNewPod(pod: Pod): void {
    if (this.#world.truth.promisesBroken) return;
    const { name } = pod.metadata;
    const max = this.#limitInForce();
    if (max === 0) fail('I7', `pod ${name} was created, but there has been no Agent (or one that allows none)`);
    const live = this.#world.pods().filter((other) => isLive(other) && isCounted(other));
    if (live.length > max) fail('I1', `pod ${name} was created while ${live.length - 1} of ${max} pods were live`);
  }

  #lookAtBinding(pod: Pod, uid: string): void {
    const { name } = pod.metadata;
    const session = this.#sessionOf(uid);
    const earlier = this.#podsOf.get(uid) ?? [];
    if (earlier.some(isHttp)) this.#http.lookAtAnotherPod(pod, earlier, uid);
    else if (earlier.length > 0) fail('I2', `a second pod (${name}) was created for the Session ${uid}`);
    this.#podsOf.set(uid, [...earlier, pod]);
    if (this.#world.truth.promisesBroken) return;
    if (session !== undefined && isFinished(session))
      fail('I2', `pod ${name} was bound to a Session that is ${session.status?.phase ?? ''}`);
    if (session?.status?.podUID !== undefined) fail('I2', `${name} was bound to a Session that had a pod`);

    // One that was admitted keeps its place when its pod is lost.
    if (earlier.length > 0) return;
    const max = this.#limitInForce();
    const others = this.#world.sessions().filter((other) => isActive(other) && other.metadata.uid !== uid);
    const active = others.filter((other) => !this.#isOver(other)).length;
    if (active >= max) fail('I1', `pod ${name} was bound while ${active} of ${max} Sessions were active`);
  }

  #lookAtLetGo(pod: Pod, old: Pod, uid: string): void {
    const had = old.metadata.finalizers?.includes(sessionRecordFinalizer) ?? false;
    const has = pod.metadata.finalizers?.includes(sessionRecordFinalizer) ?? false;
    const session = this.#sessionOf(uid);
    if (had && !has && session !== undefined && !isFinished(session) && !this.#http.isSpent(pod, session))
      fail('I3', `pod ${pod.metadata.name} was let go before the end of its Session was recorded`);
  }

  #lookAtSession(session: Session, old: Session | undefined): void {
    const { name, uid } = session.metadata;
    const before = old?.status?.phase ?? 'Pending';
    const after = session.status?.phase ?? 'Pending';
    const pods = this.#podsOf.get(uid) ?? [];
    if (old !== undefined && isFinished(old)) {
      if (JSON.stringify(old.status) !== JSON.stringify(session.status))
        fail(
          'I11',
          `Session ${name} is over (${before}, ${old.status?.reason ?? ''}) and was changed to ${after}, ${session.status?.reason ?? ''}`,
        );
      return;
    }
    const isStep = after === 'Rejected' ? before === 'Pending' : ORDER.indexOf(after) >= ORDER.indexOf(before);
    if (!isStep) fail('I11', `Session ${name} went from ${before} to ${after}`);
    if (after === 'Rejected' && pods.length > 0 && !this.#world.truth.promisesBroken)
      fail('I2', `Session ${name} was rejected, and has a pod`);
    const podUid = session.status?.podUID;
    const pod = pods.find(({ metadata }) => metadata.uid === podUid) ?? pods.at(-1);
    if (podUid !== undefined && podUid !== pod?.metadata.uid)
      fail('I2', `Session ${name} says that its pod is ${podUid}, and it is ${pod?.metadata.uid ?? 'none'}`);
    if (after === 'Running' && pod !== undefined && isHttp(pod) && this.#world.happenings.toldOf(uid) === undefined)
      fail('I5', `Session ${name} is Running, and no agent was told of it`);
    if (after === 'Ended') {
      const lie = (pod !== undefined && isHttp(pod) ? checkHttpReason : checkReason)(session, pod, this.#world);
      if (lie !== undefined) fail('I5', `Session ${name} ended as ${session.status?.reason ?? ''}, but ${lie}`);
    }
  }

  /** The greatest limit that the controller may still believe in. */
  #limitInForce(): number {
    const oldest = this.#world.clock.now() - this.#blindnessMs;
    const inForce = this.#limits.filter((_, index) => (this.#limits[index + 1]?.since ?? Infinity) >= oldest);
    return Math.max(...inForce.map(({ max }) => max));
  }

  #sessionOf(uid: string): Session | undefined {
    return this.#world.sessions().find(({ metadata }) => metadata.uid === uid);
  }

  /** Its pod has ended, or is gone: that its status does not say so yet is a matter of a moment. */
  #isOver(session: Session): boolean {
    const { podUID } = session.status ?? {};
    const pod = this.#podsOf.get(session.metadata.uid)?.find(({ metadata }) => metadata.uid === podUID);
    const now = pod && this.#world.pods().find(({ metadata }) => metadata.uid === pod.metadata.uid);
    return podUID !== undefined && (now === undefined || !isLive(now));
  }
}

/** Pods are counted by their labels: whoever takes those off takes them out. */
function isCounted({ metadata }: Pod): boolean {
  return metadata.labels?.[labels.agent] === AGENT && metadata.labels[labels.managedBy] === managedBy;
}

function maxAgentsOf({ spec }: Agent): number {
  return spec.scaling?.maxAgents ?? 0;
}

function fail(invariant: Invariant, what: string): never {
  throw new Violation(invariant, what);
}
