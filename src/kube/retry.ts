import type { KubeError } from './errors.ts';

/** Tries of one call, the first included. */
const maxTries = 5;

/** Longest `Retry-After` that a call waits for; the call's own deadline cuts it shorter. */
const maxRetryAfterSeconds = 30;

/** Answers of a server or proxy that may be better in a moment. */
const transientCodes = new Set([429, 502, 503, 504]);

/** What the decision rests on. */
export interface FailedTry {
  /** Tries made so far, this one included. */
  tries: number;
  mutation: boolean;
  error: KubeError;
}

/**
 * Milliseconds until the next try, or undefined for none.
 *
 * Reads are tried again when the server is busy or the connection broke. Mutations never are, for they may have been
 * carried out; with one exception: a 429 with `Retry-After` that is not a Status comes from the API server's flow
 * control (priority and fairness), which turns requests away before anything looks at them. A 429 that is a Status is
 * an answer, such as "the disruption budget forbids it".
 */
export function retryDelayMs(failed: FailedTry, random: () => number): number | undefined {
  const { tries, mutation, error } = failed;
  if (tries >= maxTries) return undefined;
  // Authentication comes first in the server; by now the credentials have been read again.
  if (error.code === 401) return tries === 1 ? 0 : undefined;
  if (mutation) {
    const turnedAway = error.code === 429 && error.retryAfterSeconds !== undefined && error.status === undefined;
    if (!turnedAway) return undefined;
  } else {
    const broken = error.reason === 'ConnectFailed' || error.reason === 'ConnectionLost';
    if (!broken && !transientCodes.has(error.code)) return undefined;
  }
  const asked = Math.min(error.retryAfterSeconds ?? 0, maxRetryAfterSeconds) * 1000;
  const backoff = 100 * 2 ** (tries - 1);
  return asked + backoff * (0.5 + random() / 2);
}
