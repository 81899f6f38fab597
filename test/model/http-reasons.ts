import type { EndReason } from '../../src/api/reasons.ts';
import type { Session } from '../../src/api/session.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { CLOCKS_MS, lastSeen, startDeadline } from './reasons.ts';
import type { World } from './world.ts';

/**
 * Whether what really happened bears out the reason with which a Session of protocol Http has just ended.
 *
 * @param pod the last one that was bound to it
 * @returns what speaks against it
 */
export function checkHttpReason(session: Session, pod: Pod | undefined, world: World): string | undefined {
  const { status, spec, metadata } = session;
  const { truth, happenings, clock } = world;
  const now = clock.now();
  const told = happenings.toldOf(metadata.uid);
  const does = world.workloadOf(metadata.uid);
  const isStruck = pod !== undefined && truth.struck.has(pod.metadata.uid);
  if (status?.startedAt !== undefined && told === undefined) return 'it says when it began, and no agent was told';
  switch (status?.reason as EndReason) {
    case 'Completed':
      return told !== undefined && does.exitCode === 0 && !does.crashes ? undefined : 'its agent did not say so';
    case 'Failed':
      if (truth.creationTrouble) return undefined;
      if (told === undefined) return 'no agent was told of it';
      return isStruck || does.exitCode !== 0 || does.crashes ? undefined : 'its agent did not fail';
    case 'OutOfMemory':
      return isStruck ? undefined : 'it did not run out of memory';
    case 'Stopped':
      return spec.stop === true || metadata.deletionTimestamp !== undefined ? undefined : 'nobody stopped it';
    case 'DeadlineExceeded': {
      if (told === undefined) return 'no agent was told of it';
      const limitMs = (status?.limits?.maxSessionDuration ?? 0) * 1000;
      return now + CLOCKS_MS >= told.at + limitMs ? undefined : 'it had not run for so long';
    }
    case 'StartTimeout':
      if (now + CLOCKS_MS < startDeadline(session)) return 'it had more time to start';
      return told === undefined ? undefined : 'its agent was told';
    case 'Lost':
      if (pod === undefined) return truth.creationTrouble ? undefined : 'it never had a pod to lose';
      // Told so late that whoever gave it up need not have heard of it.
      if (told !== undefined && told.at + CLOCKS_MS >= startDeadline(session)) return undefined;
      return isStruck || truth.wasDisrupted(lastSeen(world, pod)) || truth.agentWasChanged || truth.callTrouble
        ? undefined
        : 'nothing happened to its pod';
  }
}
