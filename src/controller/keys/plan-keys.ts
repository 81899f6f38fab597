/** A pod may be on its way, with the signing keys of before, for so long after a newer key came: nobody drops a key earlier. */
export const KEEP_MS = 10 * 60_000;

/** A Session may be waiting, sealed with the key of before, or be sealed with it by somebody who has not heard of the newer one. */
export const KEEP_SEALING_MS = 24 * 3600_000;

export interface KeySituation {
  /** Newest first; when each was made, milliseconds since the epoch. */
  keys: readonly { kid: string; createdAt: number }[];
  /** How long a key stays at least when a newer one has come, milliseconds. */
  keepMs: number;
  /** Whether somebody has asked for a new key. */
  rotate: boolean;
  /** The ids of the keys that each live pod trusts; undefined while that cannot be told of all of them. */
  kidsInUse: readonly ReadonlySet<string>[] | undefined;
  /** Milliseconds since the epoch. */
  now: number;
}

export interface KeyPlan {
  /** Whether a new key comes first. */
  make: boolean;
  /** The ids of the keys that stay, newest first. */
  keep: string[];
}

/**
 * What is to become of the keys for one purpose; undefined when all may stay as it is.
 *
 * Each pod is spoken to with the newest key that it trusts. So an old key goes when no live pod has none newer, and when every pod that
 * was made before that newer one came can be seen.
 */
export function planKeys({ keys, keepMs, rotate, kidsInUse, now }: KeySituation): KeyPlan | undefined {
  const keep: string[] = [];
  keys.forEach(({ kid }, index) => {
    const newer = keys[index - 1];
    if (newer === undefined || now - newer.createdAt < keepMs || isNewestOfAPod(kid, keep, kidsInUse)) keep.push(kid);
  });
  return rotate || keep.length < keys.length ? { make: rotate, keep } : undefined;
}

function isNewestOfAPod(kid: string, newer: readonly string[], kidsInUse: KeySituation['kidsInUse']): boolean {
  return kidsInUse?.some((kids) => kids.has(kid) && !newer.some((other) => kids.has(other))) ?? true;
}
