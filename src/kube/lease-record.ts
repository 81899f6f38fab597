import { microTime } from './micro-time.ts';
import type { Lease } from './objects.ts';

/** What leader election writes into a Lease. */
export type LeaseRecord = NonNullable<Lease['spec']>;

/** Nobody holds the lease: it was released, or never held. */
export function isReleased(record: LeaseRecord | undefined): boolean {
  return (record?.holderIdentity ?? '') === '';
}

/**
 * Whether anybody has written the lease in between. The time in it is compared only with itself, never with our clock.
 */
export function sameRecord(a: LeaseRecord | undefined, b: LeaseRecord | undefined): boolean {
  return (
    a?.holderIdentity === b?.holderIdentity &&
    a?.renewTime === b?.renewTime &&
    a?.acquireTime === b?.acquireTime &&
    a?.leaseTransitions === b?.leaseTransitions &&
    a?.leaseDurationSeconds === b?.leaseDurationSeconds
  );
}

/**
 * The record that takes or renews the lease: a renewal keeps when it was acquired, a change of holder counts one
 * transition.
 */
export function heldRecord(
  old: LeaseRecord | undefined,
  identity: string,
  nowMs: number,
  durationMs: number,
): LeaseRecord {
  const now = microTime(nowMs);
  const renewal = old?.holderIdentity === identity;
  const transitions = old?.leaseTransitions ?? 0;
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    acquireTime: renewal ? (old.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions: renewal || old === undefined ? transitions : transitions + 1,
  };
}

/**
 * The record that lets go, so short that nobody waits. With nobody as its holder it says to the next one that the
 * handover is clean; otherwise it keeps the old holder's name.
 */
export function releasedRecord(old: LeaseRecord | undefined, nowMs: number, clean: boolean): LeaseRecord {
  const now = microTime(nowMs);
  return {
    holderIdentity: clean ? '' : (old?.holderIdentity ?? ''),
    leaseDurationSeconds: 1,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: old?.leaseTransitions ?? 0,
  };
}
