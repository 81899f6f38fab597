import { labels } from '../../src/api/names.ts';
import { agentLimits } from '../../src/api/limits.ts';
import type { Session } from '../../src/api/session.ts';
import { isFinished } from '../../src/controller/session-status.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { hasOurFinalizer } from '../../src/pods/finalizer.ts';
import { isLive } from '../../src/pods/pod-facts.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** I5, I6: when everything has worked again for as long as any Session may live, all are over. */
export function checkAllEnded(world: World): void {
  for (const session of world.sessions()) {
    const { name } = session.metadata;
    const { phase = 'Pending', reason } = session.status ?? {};
    if (!isFinished(session)) throw new Violation('I6', `Session ${name} is still ${phase} (${reason ?? 'no reason'})`);
    if (reason === undefined) throw new Violation('I5', `Session ${name} is ${phase} without a reason`);
  }
}

/** I3: what is left is the pod of a Session that has ended, kept for its logs and not for too long. */
export function checkNothingLeft(world: World): void {
  for (const pod of world.pods()) {
    const { name } = pod.metadata;
    const uid = pod.metadata.labels?.[labels.sessionUid];
    const session = world.sessions().find(({ metadata }) => metadata.uid === uid);
    if (isOutOfSight(world, pod, session)) continue;
    if (hasOurFinalizer(pod)) throw new Violation('I3', `pod ${name} is still held`);
    if (isLive(pod)) throw new Violation('I3', `pod ${name} still lives`);
    const { seconds } = world.agent()?.spec.retention?.pods ?? { seconds: agentLimits.retainedPodSeconds.default };
    const age = world.clock.now() - Date.parse(session?.status?.endedAt ?? pod.metadata.creationTimestamp);
    if (age > ((seconds ?? 0) + 90) * 1000) throw new Violation('I3', `pod ${name} has been kept for ${age / 1000} s`);
  }
}

/** Somebody took the label off by which we watch it. It is not ours once it is let go; and with its Session gone, or a chance to let it go missed, nothing leads to it. */
function isOutOfSight({ truth, lease }: World, pod: Pod, session: Session | undefined): boolean {
  if (!truth.unlabelled.has(pod.metadata.uid)) return false;
  return session === undefined || !hasOurFinalizer(pod) || truth.requestTrouble || lease.terms > 1;
}

/** Every Session that ended, and every one that was deleted before, has been counted once. Only one process can know that. */
export function checkUsage(world: World): void {
  const { stripped, unlabelled, promisesBroken } = world.truth;
  if (promisesBroken || world.lease.terms > 1 || stripped.size > 0 || unlabelled.size > 0) return;
  const counted = world.lease.holder.metrics.ended;
  const ended = new Map<string, number>();
  for (const { object, resource, type } of world.server.commits) {
    const status = (object as { status?: { phase?: string; usageSeconds?: number } }).status;
    if (resource.plural === 'sessions' && type !== 'DELETED' && status?.phase === 'Ended')
      ended.set(object.metadata.uid, status.usageSeconds ?? 0);
    // Deleted before its end: the pod alone is left to tell.
    const uid = object.metadata.labels?.[labels.sessionUid];
    if (resource.plural === 'pods' && uid !== undefined && !ended.has(uid)) ended.set(uid, NaN);
  }
  const orphans = [...ended.values()].filter((seconds) => Number.isNaN(seconds)).length;
  if (counted.length !== ended.size)
    throw new Violation('Usage', `${counted.length} sessions were counted, but ${ended.size} ended`);
  if (orphans > 0) return;
  const sum = counted.reduce((total, { usedSeconds }) => total + usedSeconds, 0);
  const recorded = [...ended.values()].reduce((total, seconds) => total + seconds, 0);
  if (Math.abs(sum - recorded) > 0.001)
    throw new Violation('Usage', `${sum} seconds were counted, but ${recorded} are recorded`);
}

/** I10: with nothing to do nothing is written, not even by a controller that starts anew and looks at everything. */
export async function checkIdle(world: World): Promise<void> {
  const before = world.requests.length;
  await world.advance(30_000);
  world.lease.crash(0);
  await world.advance(40_000);
  const written = world.requests.slice(before).map(({ verb, plural, name }) => `${verb} ${plural} ${name}`);
  if (written.length > 0) throw new Violation('I10', `an idle system wrote: ${written.join(', ')}`);
}
