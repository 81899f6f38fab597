import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, as the end of the sentence "waited N s for ...". */
  what: string;
  timeoutMs: number;
  intervalMs?: number;
  /** Called before every try; throws when waiting has become pointless. */
  check?: () => Promise<void>;
}

/**
 * Asks `probe` until it answers with something other than undefined or false. Only for what cannot be awaited: the state of other
 * programs. Errors of the probe count as "not yet"; the last one is the cause of the error when time is up.
 */
export async function waitFor<T>(probe: () => Promise<T | undefined | false>, options: WaitOptions): Promise<T> {
  const deadline = Date.now() + options.timeoutMs;
  let cause: unknown;
  for (;;) {
    await options.check?.();
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) {
      const reason = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`waited ${options.timeoutMs / 1000} s for ${options.what}${reason}`, { cause });
    }
    await sleep(options.intervalMs ?? 50);
  }
}
