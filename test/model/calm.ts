import { labels } from '../../src/api/names.ts';
import type { Session } from '../../src/api/session.ts';
import { isFinished } from '../../src/api/session-phase.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { isPodCommit, type Commit } from './api-server.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** Writes of the controller for one cold session: create its pod, Starting, lower the deadline, Running, Ended, let the pod go. */
const WRITES_PER_SESSION = 6;

/** I10: what a session costs where nothing goes wrong, until its traces are removed. */
export function checkWrites(world: World): void {
  for (const [uid, session] of lastSessions(world)) {
    const pod = podOf(world, uid);
    if (pod === undefined) continue;
    const names = new Set([session.metadata.name, pod.metadata.name]);
    const writes = world.requests.filter(({ name, verb }) => names.has(name) && verb !== 'delete');
    // Waiting in the queue is written down, with the place in it, and costs extra.
    const queued = world.server.commits.filter(
      ({ object }) => object.metadata.uid === uid && (object as Session).status?.reason === 'Queued',
    );
    if (writes.length - queued.length > WRITES_PER_SESSION) {
      const list = writes.map(({ verb, plural, status }) => `${verb} ${plural}${status ? '/status' : ''}`).join(', ');
      throw new Violation('I10', `Session ${session.metadata.name} cost ${writes.length} writes: ${list}`);
    }
  }
}

/** I6: the kubelet cuts a session neither before its limit nor more than two seconds after it. */
export function checkCuts(world: World): void {
  for (const [uid, { metadata, status }] of lastSessions(world)) {
    if (status?.reason !== 'DeadlineExceeded') continue;
    const started = commitsOfPod(world, uid).find(({ object }) => object.status.phase === 'Running');
    const told = [...world.kubelets.values()]
      .map((kubelet) => kubelet.toldToEnd.get(status.podUID ?? ''))
      .find(Boolean);
    const ranMs = (told ?? NaN) - (started?.at ?? NaN);
    const limitMs = (status.limits?.maxSessionDuration ?? 0) * 1000;
    if (!(ranMs >= limitMs && ranMs <= limitMs + 2_000))
      throw new Violation('I6', `Session ${metadata.name} with a limit of ${limitMs} ms was cut after ${ranMs} ms`);
  }
}

/** First come, first served: whoever gets a pod has nobody in front of him who waits for one. */
export function checkTurns(world: World): void {
  const open = new Map<string, Session>();
  const withPod = new Set<string>();
  for (const commit of world.server.commits) {
    const { object, resource, type } = commit;
    if (resource.plural === 'sessions') {
      if (type === 'DELETED' || isFinished(object as Session)) open.delete(object.metadata.uid);
      else open.set(object.metadata.uid, object as Session);
    }
    if (!isPodCommit(commit) || type !== 'ADDED') continue;
    const uid = object.metadata.labels?.[labels.sessionUid] ?? '';
    const served = open.get(uid);
    withPod.add(uid);
    const overtaken = [...open.values()].find(
      (other) => served !== undefined && !withPod.has(other.metadata.uid) && isBefore(other, served),
    );
    if (overtaken !== undefined)
      throw new Violation('I1', `Session ${served?.metadata.name ?? ''} was served before ${overtaken.metadata.name}`);
  }
}

/** Within one second nobody can tell who came first: creation times are whole seconds. */
function isBefore(a: Session, b: Session): boolean {
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp;
}

/** Every Session as it was last seen, by uid. */
function lastSessions(world: World): Map<string, Session> {
  const sessions = world.server.commits.filter(({ resource }) => resource.plural === 'sessions');
  return new Map(sessions.map(({ object }) => [object.metadata.uid, object as Session]));
}

function commitsOfPod(world: World, uid: string): (Commit & { object: Pod })[] {
  return world.server.commits
    .filter(isPodCommit)
    .filter(({ object }) => object.metadata.labels?.[labels.sessionUid] === uid);
}

function podOf(world: World, uid: string): Pod | undefined {
  return commitsOfPod(world, uid).at(-1)?.object;
}
