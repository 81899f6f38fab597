const LONGEST_MS = 5_000;

/** The pause before the second of many tries, in milliseconds: the API server does not answer, or what is in the way is to go first. */
export const FIRST_PAUSE_MS = 200;

/** The pause after one of that length. */
export function longerPause(ms: number): number {
  return Math.min(2 * ms, LONGEST_MS);
}
