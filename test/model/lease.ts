import type { Clock } from '../../src/kube/clock.ts';
import type { Replica } from './replica.ts';

/** The numbers of `leader-election.ts`. */
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;

export interface LeaseDeps {
  clock: Clock;
  makeReplica: () => Replica;
}

/**
 * Who leads, with the timing that leader election promises: the holder may write until 10 s after its last renewal, a successor
 * begins 15 s after it at the earliest, or at once when the holder has released the lease.
 */
export class Lease {
  readonly #deps: LeaseDeps;
  holder: Replica;
  standby: Replica;
  /** The holder's last renewal, when it cannot renew any more. */
  #cutAt: number | undefined;
  #leaving = false;
  /** Begins with 1; more means that leadership has moved. */
  terms = 1;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
    this.holder = deps.makeReplica();
    this.standby = deps.makeReplica();
    this.#begin(true);
  }

  get replicas(): Replica[] {
    return [this.holder, this.standby];
  }

  /** Whether nothing is happening to the lease: the next trouble may come. */
  get isSettled(): boolean {
    return this.#cutAt === undefined && !this.#leaving;
  }

  mayWrite(replica: Replica): boolean {
    if (replica !== this.holder || replica.process.isDead) return false;
    return this.#cutAt === undefined || this.#now() < this.#cutAt + RENEW_DEADLINE_MS;
  }

  /** SIGKILL. */
  crash(sinceRenewalMs: number): void {
    if (!this.isSettled) return;
    this.holder.kill();
    this.#cut(sinceRenewalMs);
  }

  /** The holder cannot reach its lease any more, but all else. */
  loseLease(sinceRenewalMs: number): void {
    if (!this.isSettled) return;
    const { holder } = this;
    const cutAt = this.#cut(sinceRenewalMs);
    this.#at(cutAt + RENEW_DEADLINE_MS, () => holder.kill());
  }

  /** The holder stands still. When it goes on in time it renews; else it finds out that it is too late. */
  pause(ms: number, sinceRenewalMs: number): void {
    if (!this.isSettled) return;
    const { holder } = this;
    holder.process.pause();
    const end = this.#now() + ms;
    const inTime = end < this.#now() - clampSinceRenewal(sinceRenewalMs) + RENEW_DEADLINE_MS;
    if (!inTime) this.#cut(sinceRenewalMs);
    this.#at(end, () => {
      holder.process.resume();
      if (!inTime) this.#at(end + 1, () => holder.kill());
    });
  }

  /** SIGTERM. */
  handOver(): void {
    if (!this.isSettled) return;
    this.#leaving = true;
    this.holder.leave();
  }

  #cut(sinceRenewalMs: number): number {
    const cutAt = this.#now() - clampSinceRenewal(sinceRenewalMs);
    this.#cutAt = cutAt;
    this.#at(cutAt + LEASE_MS, () => this.#takeOver(false));
    return cutAt;
  }

  #takeOver(cleanHandover: boolean): void {
    this.#cutAt = undefined;
    this.#leaving = false;
    this.holder = this.standby;
    this.standby = this.#deps.makeReplica();
    this.terms += 1;
    this.#begin(cleanHandover);
  }

  #begin(cleanHandover: boolean): void {
    const { holder } = this;
    holder.lead(cleanHandover).then(
      () => {
        if (holder !== this.holder || !this.#leaving) return;
        holder.kill();
        this.#takeOver(true);
      },
      () => undefined, // the replica has told
    );
  }

  #now(): number {
    return this.#deps.clock.monotonic();
  }

  #at(time: number, fn: () => void): void {
    this.#deps.clock.setTimeout(fn, Math.max(0, time - this.#now()));
  }
}

function clampSinceRenewal(ms: number): number {
  return Math.min(Math.max(0, ms), RETRY_MS);
}
