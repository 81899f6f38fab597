import type { Condition } from './objects.ts';

/** A condition as its writer sees it: when it changed follows from the list that it is put into. */
export type ConditionUpdate = Omit<Condition, 'lastTransitionTime'>;

/**
 * The list with this condition in it, at its old place if it has one. `lastTransitionTime` changes only with `status`.
 * Returns the very same list when nothing changes, so that a caller sees that there is nothing to write.
 *
 * @param nowMs wall clock, milliseconds since the epoch
 */
export function setCondition(list: readonly Condition[], update: ConditionUpdate, nowMs: number): readonly Condition[] {
  const old = findCondition(list, update.type);
  const kept = old?.status === update.status ? old.lastTransitionTime : undefined;
  const condition = { ...update, lastTransitionTime: kept ?? wholeSeconds(nowMs) };
  if (old === undefined) return [...list, condition];
  const same =
    old.status === condition.status &&
    old.reason === condition.reason &&
    old.message === condition.message &&
    old.observedGeneration === condition.observedGeneration;
  return same ? list : list.map((entry) => (entry === old ? condition : entry));
}

export function findCondition(list: readonly Condition[] | undefined, type: string): Condition | undefined {
  return list?.find((condition) => condition.type === type);
}

/** Whether the condition is there and its status is `True`. */
export function isTrue(list: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(list, type)?.status === 'True';
}

/** `metav1.Time`: RFC 3339 in whole seconds. */
function wholeSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
