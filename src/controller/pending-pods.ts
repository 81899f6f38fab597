import type { Clock } from '../kube/clock.ts';

/** A pod whose creation or claim has been sent and whose result is not known yet. It holds a place until it is. */
export interface PendingPod {
  agentKey: string;
  namespace: string;
  name: string;
  /** The Session that it is for; undefined for one that is to wait for a Session. */
  sessionUid: string | undefined;
  /**
   * `sent`: the request is under way. `unknown`: it failed in a way that leaves open whether it was carried out (lost
   * reply, timeout); it still may be, until the API server's own timeout for it has passed.
   */
  state: 'sent' | 'unknown';
  /**
   * Monotonic milliseconds: when the request was made; once its result is unknown, when that was found out. The request
   * may have waited for a connection, so only then is it certain that it had been sent.
   */
  since: number;
}

/**
 * The pods that this leader may have created or claimed without the cache knowing.
 *
 * A created or claimed pod enters the cache with the reply, so only requests without a (clear) reply need to be remembered. Such
 * an entry is never dropped because of its age: it ends with a reply, or with a fresh read made after the request can
 * no longer be carried out.
 */
export class PendingPods {
  readonly #clock: Clock;
  readonly #settleAfterMs: number;
  readonly #byName = new Map<string, PendingPod>();

  /** @param settleAfterMs the API server's timeout for a mutation (`?timeout=`), with a margin. */
  constructor({ clock, settleAfterMs }: { clock: Clock; settleAfterMs: number }) {
    this.#clock = clock;
    this.#settleAfterMs = settleAfterMs;
  }

  sent(pod: Omit<PendingPod, 'state' | 'since'>): void {
    this.#byName.set(key(pod), { ...pod, state: 'sent', since: this.#clock.monotonic() });
  }

  /** The result is known: the pod is in the cache, or it was refused. */
  settled(pod: { namespace: string; name: string }): void {
    this.#byName.delete(key(pod));
  }

  /** All has been done that was to be done; what is not known yet stays. */
  settledUnlessUnknown(pod: { namespace: string; name: string }): void {
    if (this.#byName.get(key(pod))?.state === 'sent') this.#byName.delete(key(pod));
  }

  unknown(pod: { namespace: string; name: string }): void {
    const entry = this.#byName.get(key(pod));
    if (entry !== undefined) this.#byName.set(key(pod), { ...entry, state: 'unknown', since: this.#clock.monotonic() });
  }

  ofAgent(agentKey: string): PendingPod[] {
    return [...this.#byName.values()].filter((pod) => pod.agentKey === agentKey);
  }

  /** How long until none of these requests can still be carried out; 0 when there is none. */
  allSettleInMs(): number {
    return Math.max(0, ...[...this.#byName.values()].map((pod) => this.settlesInMs(pod)));
  }

  /** How long until a fresh read settles this entry for good; 0 or less means now. */
  settlesInMs(pod: PendingPod): number {
    return pod.since + this.#settleAfterMs - this.#clock.monotonic();
  }
}

function key({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}
