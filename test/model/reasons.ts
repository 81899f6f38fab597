import type { EndReason } from '../../src/api/reasons.ts';
import type { Session } from '../../src/api/session.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { agentStartedAt, agentTerminated } from '../../src/pods/pod-facts.ts';
import type { World } from './world.ts';

/** Clocks of this world differ by no more, and what is asked is known by then; milliseconds. */
export const CLOCKS_MS = 6_000;

/**
 * Whether what really happened bears out the reason with which a Session has just ended.
 *
 * @param created its pod as it was created
 * @returns what speaks against it
 */
export function checkReason(session: Session, created: Pod | undefined, world: World): string | undefined {
  const { status, spec } = session;
  const now = world.clock.now();
  const pod = created && lastSeen(world, created);
  const exit = pod && agentTerminated(pod);
  const limits = status?.limits;
  const since = (time: string | undefined): number => now - Date.parse(time ?? '');
  switch (status?.reason as EndReason) {
    case 'Completed':
      return exit?.exitCode === 0 ? undefined : 'its agent did not exit with 0';
    case 'Failed':
      return (exit !== undefined && exit.exitCode !== 0) || world.truth.creationTrouble ? undefined : 'it did not fail';
    case 'OutOfMemory':
      return exit?.reason === 'OOMKilled' ? undefined : 'it did not run out of memory';
    case 'Stopped':
      return spec.stop === true || session.metadata.deletionTimestamp !== undefined ? undefined : 'nobody stopped it';
    case 'DeadlineExceeded': {
      const limit = (limits?.maxSessionDuration ?? 0) * 1000;
      // Its deadline cannot be raised, so an agent that starts after its start timeout has less time.
      const total = limit + (limits?.startTimeoutSeconds ?? 0) * 1000;
      const wasLong = since(status?.startedAt) + CLOCKS_MS >= limit || since(status?.admittedAt) + CLOCKS_MS >= total;
      return wasLong ? undefined : 'it had not run for so long';
    }
    case 'StartTimeout':
      if (now + CLOCKS_MS < startDeadline(session)) return 'it had more time to start';
      // It started, and so long before its time was up that whoever asked then must have seen it.
      return Date.parse((pod && agentStartedAt(pod)) ?? '') + CLOCKS_MS < startDeadline(session)
        ? 'it had started'
        : undefined;
    case 'Lost':
      if (created === undefined) return world.truth.creationTrouble ? undefined : 'it never had a pod to lose';
      return world.truth.wasDisrupted(pod) ? undefined : 'nothing happened to its pod';
  }
}

/** When it had to have started. */
export function startDeadline({ spec, status }: Session): number {
  const timeout = Date.parse(status?.admittedAt ?? '') + (status?.limits?.startTimeoutSeconds ?? 0) * 1000;
  return spec.startBefore === undefined ? timeout : Math.min(timeout, Date.parse(spec.startBefore));
}

/** The last state of a pod, be it gone or not. */
export function lastSeen(world: World, created: Pod): Pod {
  const last = world.server.commits.findLast(({ object }) => object.metadata.uid === created.metadata.uid);
  return (last?.object ?? created) as Pod;
}
