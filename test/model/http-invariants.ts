import { labels, sessionRecordFinalizer } from '../../src/api/names.ts';
import type { Session } from '../../src/api/session.ts';
import { isFinished } from '../../src/api/session-phase.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { isBeingDeleted } from '../../src/pods/pod-facts.ts';
import { readBinding } from '../../src/pods/binding.ts';
import { isHttp } from '../../src/pods/session-record.ts';
import type { Telling } from './telling.ts';
import { Violation, type Invariant } from './violation.ts';
import type { World } from './world.ts';

/** Looks at what agents of protocol Http are told, and at which pods Sessions get for it. */
export class HttpInvariants {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    world.happenings.onTelling((telling) => this.#lookAtTelling(telling));
  }

  /** A pod is bound to a Session that has had others. */
  lookAtAnotherPod(pod: Pod, earlier: readonly Pod[], uid: string): void {
    const { truth, happenings } = this.#world;
    const { name } = pod.metadata;
    if (truth.promisesBroken) return;
    const told = happenings.toldOf(uid);
    if (told !== undefined) fail('W6', `${name} was bound to ${uid}, of which ${told.podUid} had been told`);
    const attempt = readBinding(pod)?.attempt ?? 0;
    const rival = earlier.find((other) => !isHttp(other) || (readBinding(other)?.attempt ?? 0) >= attempt);
    if (rival !== undefined)
      fail('I2', `${name} was bound to ${uid} for try ${attempt}, and ${rival.metadata.name} was not spent`);
  }

  /** A pod that waited has become a Session's. */
  lookAtClaim(pod: Pod, old: Pod): void {
    const { name } = pod.metadata;
    if (isBeingDeleted(old)) fail('W4', `${name} was claimed while it was being deleted`);
    if (old.metadata.labels?.[labels.state] !== 'warm') fail('W2', `${name} was claimed and did not wait`);
    if (pod.metadata.finalizers?.includes(sessionRecordFinalizer) !== true) fail('I3', `${name} is not held`);
    if (this.#world.happenings.bound.has(pod.metadata.uid)) fail('W2', `${name} had been told of a session already`);
  }

  /** Whether a pod is of an earlier try of its Session, and nobody counts on it any more. */
  isSpent(pod: Pod, session: Session): boolean {
    return (readBinding(pod)?.attempt ?? 0) < (session.status?.attempt ?? 0);
  }

  #lookAtTelling({ podUid, sessionUid }: Telling): void {
    const { server, truth, happenings } = this.#world;
    const earlier = happenings.toldOf(sessionUid);
    if (earlier !== undefined)
      fail('W1', `the agent of ${podUid} was told of ${sessionUid}, and so was that of ${earlier.podUid} before`);
    const other = happenings.tellings.find((telling) => telling.podUid === podUid);
    if (other !== undefined) fail('W2', `the agent of ${podUid} was told of ${other.sessionUid} and ${sessionUid}`);
    const pod = server.list(pods).find(({ metadata }) => metadata.uid === podUid);
    const bound = pod?.metadata.labels?.[labels.sessionUid];
    if (pod !== undefined && bound !== sessionUid)
      fail('W2', `the agent of ${podUid}, a pod of ${bound ?? 'nobody'}, was told of ${sessionUid}`);
    // What runs on a node that nobody hears from cannot be called back, nor a pod that was removed by force.
    if (pod === undefined || truth.wasDisrupted(pod)) return;
    const session = this.#world.sessions().find(({ metadata }) => metadata.uid === sessionUid);
    if (session !== undefined && isFinished(session))
      fail('W4', `the agent of ${podUid} was told of ${session.metadata.name}, which was ${phaseOf(session)}`);
    if (session !== undefined && this.isSpent(pod, session))
      fail('W4', `the agent of ${podUid} was told of ${session.metadata.name}, which was to get another pod`);
  }
}

function phaseOf({ status }: Session): string {
  return `${status?.phase ?? ''} (${status?.reason ?? ''})`;
}

function fail(invariant: Invariant, what: string): never {
  throw new Violation(invariant, what);
}
