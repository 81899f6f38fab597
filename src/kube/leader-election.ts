import type { KubeApi } from './api.ts';
import { abortReason, settlesWithin, sleep, type Clock } from './clock.ts';
import { isNotFound } from './errors.ts';
import { heldRecord, isReleased, releasedRecord, sameRecord } from './lease-record.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import type { Lease } from './objects.ts';
import { leases, type ObjectRef } from './resources.ts';

export interface LeaderElectionTimings {
  /** Others wait this long, from when they last saw the lease change, before they take it. Default 15 s. */
  leaseDurationMs: number;
  /**
   * The leader gives up when it has not been able to renew for this long. Must be shorter than the lease. Default 10 s.
   */
  renewDeadlineMs: number;
  /** How often the leader renews and the others look. Default 2 s. */
  retryPeriodMs: number;
}

/** client-go's defaults. */
const defaultTimings: LeaderElectionTimings = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2000,
};

/** Candidates look after `retryPeriod × (1 + random × jitter)`, so that they do not all look at once. */
const jitter = 1.2;

export interface LeaderElectorOptions {
  /** Best a client of its own, so that renewals wait for nothing; without a guard that asks `holdsLease`. */
  api: KubeApi;
  lease: ObjectRef;
  /** Who we are: unique to this process, not only to its pod. */
  identity: string;
  timings?: Partial<LeaderElectionTimings> | undefined;
  clock: Clock;
  random: () => number;
  logger?: Logger | undefined;
  metrics?: KubeMetrics | undefined;
}

/** How leadership came to us. */
export interface Leadership {
  /** The previous leader released the lease, or there was none: nobody's requests can still be under way. */
  cleanHandover: boolean;
}

export interface LeaderTask {
  /** What the leader does, until its signal is aborted. It resolves when nothing of it is under way any more. */
  onLeading: (signal: AbortSignal, leadership: Leadership) => Promise<void>;
  /** Called once, unless the lease is ours at the first attempt: there will be time to prepare. */
  onStandby?: () => void;
  /** Stops leading, or waiting for the lease. */
  signal: AbortSignal;
}

/**
 * The lease could not be renewed in time, or another took it. The process must exit: something of it may not have
 * noticed yet.
 */
export class LeadershipLostError extends Error {
  override name = 'LeadershipLostError';
}

/**
 * At most one process leads: it holds a Lease that it renews. The semantics are those of client-go's `leaderelection`.
 *
 * Clocks of different machines are never compared. A candidate notes, by its own monotonic clock, when it *saw* the
 * record change, and takes over when it has not changed for the lease's duration. The leader counts from before it
 * *sent* its last successful renewal, which is earlier than anybody can have seen it, and stops itself after the
 * shorter renew deadline.
 *
 * One thing breaks the promise: a person who deletes the Lease while somebody leads, for a candidate that starts then
 * cannot know of them.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #timings: LeaderElectionTimings;
  /** The Lease as last seen. */
  #lease: Lease | undefined;
  /** When its record was seen to change (monotonic). */
  #changedAt = 0;
  /** When the last successful renewal was sent (monotonic). */
  #renewedAt = -Infinity;
  /** The last record that was not ours shows that its holder let go. */
  #cleanHandover = false;
  /** When the lease became ours (monotonic). */
  #tookAt = -Infinity;
  /** The Lease was deleted since it was last seen. */
  #gone = false;
  /** We have led, and do so no more. */
  #over = false;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#timings = { ...defaultTimings, ...options.timings };
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = this.#timings;
    if (leaseDurationMs <= renewDeadlineMs || renewDeadlineMs <= retryPeriodMs * (1 + jitter)) {
      throw new RangeError('leader election needs leaseDuration > renewDeadline > 2.2 × retryPeriod');
    }
    options.metrics?.set('leader', { name: options.lease.name }, 0);
  }

  /**
   * Whether we may act as the leader at this very moment. True until the renew deadline after the last renewal, by the
   * clock alone.
   */
  holdsLease(): boolean {
    return !this.#over && this.#options.clock.monotonic() < this.#renewedAt + this.#timings.renewDeadlineMs;
  }

  /**
   * Waits for the lease, then calls `onLeading` and renews the lease while that runs. Runs once.
   *
   * - `signal` aborted: so is the one of `onLeading`. The lease is renewed until that has resolved, then released, and
   *   `run` resolves.
   * - `onLeading` resolves by itself: likewise. When it rejects, so does `run`, and the lease is *not* released, for
   *   what failed may have requests under way; the next leader waits until it has run out.
   * - the lease is lost: the signal of `onLeading` is aborted and `run` rejects at once with {@link
   *   LeadershipLostError}, at the latest when the renew deadline has passed. The caller exits the process.
   */
  async run(task: LeaderTask): Promise<void> {
    const { lease, clock, logger, metrics } = this.#options;
    if (!(await this.#acquire(task))) return;
    this.#tookAt = clock.monotonic();
    logger?.info({ lease: lease.name, cleanHandover: this.#cleanHandover }, 'became the leader');
    metrics?.set('leader', { name: lease.name }, 1);
    try {
      if (!task.signal.aborted) await this.#lead(task);
    } finally {
      this.#over = true;
      metrics?.set('leader', { name: lease.name }, 0);
    }
    await this.#release();
  }

  async #lead({ onLeading, signal }: LeaderTask): Promise<void> {
    const leading = new AbortController();
    const stop = (): void => leading.abort(abortReason(signal));
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const finished = new AbortController();
    const work = onLeading(leading.signal, { cleanHandover: this.#cleanHandover });
    const renewals = this.#renew(finished.signal);
    try {
      // Renewals end only by their loss: they outlast the work.
      await Promise.race([work, renewals]);
      finished.abort();
      await renewals; // one may be under way, and would take again what we release
    } catch (error) {
      leading.abort(error);
      throw error;
    } finally {
      finished.abort();
      signal.removeEventListener('abort', stop);
      void Promise.allSettled([work, renewals]); // whichever was not awaited has nobody else to hear it fail
    }
  }

  /** True when the lease is ours, false when the signal was aborted first. */
  async #acquire({ signal, onStandby }: LeaderTask): Promise<boolean> {
    const { clock, random } = this.#options;
    const { retryPeriodMs, renewDeadlineMs } = this.#timings;
    for (let tries = 1; !signal.aborted; tries++) {
      await this.#tryToHold(renewDeadlineMs);
      if (this.holdsLease()) return true;
      if (tries === 1) onStandby?.();
      await sleep(clock, retryPeriodMs * (1 + random() * jitter), signal).catch(() => undefined);
    }
    return false;
  }

  /** Renews until the signal is aborted; rejects when the lease is lost. */
  async #renew(signal: AbortSignal): Promise<void> {
    const { clock, lease } = this.#options;
    const { retryPeriodMs, renewDeadlineMs } = this.#timings;
    const left = (): number => this.#renewedAt + renewDeadlineMs - clock.monotonic();
    while (!signal.aborted) {
      await sleep(clock, Math.min(retryPeriodMs, left()), signal).catch(() => undefined);
      if (signal.aborted) return;
      // A request that hangs must not make us late.
      if (this.holdsLease()) await settlesWithin(clock, this.#tryToHold(left()), left());
      if (!this.holdsLease()) throw new LeadershipLostError(`lost the lease "${lease.name}": see the warnings before`);
    }
  }

  /**
   * One attempt to take or renew the lease, as far as the record permits; `holdsLease` tells the result. Never rejects.
   */
  async #tryToHold(timeoutMs: number): Promise<void> {
    const { logger, lease } = this.#options;
    // Half the time for each request, so that after one that hangs there is time for another.
    const callMs = Math.min(timeoutMs, this.#timings.renewDeadlineMs / 2);
    try {
      if (this.#lease !== undefined && this.#isOurs(this.#lease)) {
        const renewed = await this.#write(this.#lease, callMs).catch((error: unknown) => {
          logger?.warn({ err: error, lease: lease.name }, 'renewing the lease failed; reading it again');
        });
        if (renewed) return;
      }
      await this.#observe(callMs);
      if (!this.#isHeldByOther()) await this.#write(this.#lease, callMs);
    } catch (error) {
      logger?.warn({ err: error, lease: lease.name }, 'cannot take the lease now; it will be tried again');
    }
  }

  /** Reads the lease and notes whether its record has changed. */
  async #observe(timeoutMs: number): Promise<void> {
    const { api, lease, clock } = this.#options;
    const current = await api.get(leases, lease, { timeoutMs }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (current === undefined) {
      // Whoever held it before it was deleted may not have noticed: its time has to run out all the same.
      this.#cleanHandover = isReleased(this.#lease?.spec);
      this.#gone = true;
      return;
    }
    this.#gone = false;
    if (this.#lease === undefined || !sameRecord(this.#lease.spec, current.spec)) this.#changedAt = clock.monotonic();
    this.#lease = current;
    if (this.#isOurs(current)) return;
    this.#renewedAt = -Infinity; // should we have been the leader, we no longer are
    this.#cleanHandover = isReleased(current.spec);
  }

  /** Writes that the lease is ours, over the very version that we have seen. Throws when that fails. */
  async #write(seen: Lease | undefined, timeoutMs: number): Promise<true> {
    const { api, lease, identity, clock } = this.#options;
    const sentAt = clock.monotonic();
    const spec = heldRecord(seen?.spec, identity, clock.now(), this.#timings.leaseDurationMs);
    const written =
      seen === undefined || this.#gone
        ? await api.create(leases, lease.namespace, { metadata: { ...lease }, spec }, { timeoutMs })
        : await api.replace(leases, { ...seen, spec }, { timeoutMs });
    this.#lease = written;
    this.#gone = false;
    this.#changedAt = clock.monotonic();
    this.#renewedAt = sentAt;
    return true;
  }

  /** Lets the next leader begin at once. */
  async #release(): Promise<void> {
    const { api, clock, logger, lease } = this.#options;
    const held = this.#lease;
    if (held === undefined || !this.#isOurs(held)) return;
    // Whoever takes over soon after an unclean handover to us must not take it for clean: our predecessor's requests
    // are as young as ours.
    const clean = this.#cleanHandover || clock.monotonic() >= this.#tookAt + this.#timings.leaseDurationMs;
    try {
      await api.replace(leases, { ...held, spec: releasedRecord(held.spec, clock.now(), clean) });
      logger?.info({ lease: lease.name }, 'released the lease');
    } catch (error) {
      logger?.warn({ err: error, lease: lease.name }, 'releasing the lease failed; the next leader waits for its end');
    }
  }

  #isOurs(lease: Lease): boolean {
    return lease.spec?.holderIdentity === this.#options.identity;
  }

  #isHeldByOther(): boolean {
    const record = this.#lease?.spec;
    if (this.#lease === undefined || isReleased(record) || this.#isOurs(this.#lease)) return false;
    const durationMs = (record?.leaseDurationSeconds ?? 0) * 1000 || this.#timings.leaseDurationMs;
    return this.#options.clock.monotonic() < this.#changedAt + durationMs;
  }
}
