import type { Clock } from '../../kube/clock.ts';

/** How long somebody waits for an answer. */
export interface Deadline {
  /** Unix milliseconds. */
  readonly until: number;
  /** Aborted when they do not wait any longer: it is too late, or they have gone. */
  readonly signal: AbortSignal;
  /** Whether it is too late; not when they have only gone. */
  isPast(): boolean;
  cancel(): void;
}

/** @param signal aborted when they have gone, or the process ends */
export function deadlineOf(clock: Clock, { until, signal }: { until: number; signal: AbortSignal }): Deadline {
  const late = new AbortController();
  const timer = clock.setTimeout(() => late.abort(), Math.max(0, until - clock.now()));
  return {
    until,
    signal: AbortSignal.any([signal, late.signal]),
    isPast: () => late.signal.aborted,
    cancel: () => timer.cancel(),
  };
}
