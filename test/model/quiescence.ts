import { labels } from '../../src/api/names.ts';
import { agentLimits } from '../../src/api/limits.ts';
import type { Session } from '../../src/api/session.ts';
import { isFinished } from '../../src/api/session-phase.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { hasOurFinalizer } from '../../src/pods/finalizer.ts';
import { agentSpec } from '../../src/api/agent.ts';
import { poolTarget } from '../../src/controller/pool/pool-plan.ts';
import { isWarm } from '../../src/controller/pool/warm-pods.ts';
import { isLive, isReady } from '../../src/pods/pod-facts.ts';
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
    if (isWarm(pod) && isLive(pod) && isOwnedBy(world, pod)) continue;
    if (isLive(pod)) throw new Violation('I3', `pod ${name} still lives`);
    const { seconds } = world.agent()?.spec.retention?.pods ?? { seconds: agentLimits.retainedPodSeconds.default };
    const age = world.clock.now() - Date.parse(session?.status?.endedAt ?? pod.metadata.creationTimestamp);
    if (age > ((seconds ?? 0) + 90) * 1000) throw new Violation('I3', `pod ${name} has been kept for ${age / 1000} s`);
  }
}

function isOwnedBy(world: World, pod: Pod): boolean {
  return pod.metadata.ownerReferences?.some(({ uid }) => uid === world.agent()?.metadata.uid) ?? false;
}

/** How many pods should wait while no Session runs; 0 where there is no Agent. */
function poolTargetOf(world: World): number {
  const agent = world.agent();
  return agent === undefined || agent.metadata.deletionTimestamp !== undefined
    ? 0
    : poolTarget(agentSpec.parse(agent.spec), 0);
}

/** Whether just those pods wait that should, ready and of one revision. */
export function isPoolFull(world: World): boolean {
  const waiting = world.pods().filter((pod) => isWarm(pod) && isLive(pod));
  const revisions = new Set(waiting.map(({ metadata }) => metadata.labels?.[labels.revision]));
  return waiting.length === poolTargetOf(world) && waiting.every(isReady) && revisions.size <= 1;
}

/** W5. */
export function checkPool(world: World): void {
  if (isPoolFull(world)) return;
  const waiting = world.pods().filter((pod) => isWarm(pod) && isLive(pod));
  const list = waiting.map((pod) => `${pod.metadata.name} (${isReady(pod) ? 'ready' : 'not ready'})`).join(', ');
  throw new Violation('W5', `${poolTargetOf(world)} pods should wait, and these do: ${list || 'none'}`);
}

/** Somebody took the label off by which we watch it. It is not ours once it is let go; and with its Session gone, or a chance to let it go missed, nothing leads to it. */
function isOutOfSight({ truth, lease }: World, pod: Pod, session: Session | undefined): boolean {
  if (!truth.unlabelled.has(pod.metadata.uid)) return false;
  // A Session that gets another pod does not say any more which it had.
  if (session !== undefined && session.status?.podUID !== pod.metadata.uid) return true;
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

/** So often a request may be made again within {@link STORM_MS}, however it fails. */
const STORM = 60;
const STORM_MS = 10_000;

/** I10: what does not work is not tried again and again without a pause. */
export function checkNoStorms(world: World): void {
  const times = new Map<string, number[]>();
  for (const { verb, plural, name, status, by, at } of world.requests) {
    const request = `${by} ${verb} ${plural} ${name}${status ? '/status' : ''}`;
    const before = times.get(request) ?? [];
    times.set(request, before);
    before.push(at);
    if (at - (before.at(-STORM) ?? -Infinity) < STORM_MS)
      throw new Violation('I10', `"${request}" was sent ${STORM} times in ${STORM_MS / 1000} s`);
  }
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
