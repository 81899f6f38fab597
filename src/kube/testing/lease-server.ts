import type { CallOptions, KubeApi } from '../api.ts';
import { sleep, type Clock } from '../clock.ts';
import { KubeError } from '../errors.ts';
import type { Lease } from '../objects.ts';

/** What goes wrong with a candidate's requests. */
export type LeaseFault =
  | 'none'
  /** Refused, not carried out. */
  | 'error'
  /** Carried out, but the reply is lost. */
  | 'lostReply'
  /** Carried out at once, answered after three seconds. */
  | 'slow'
  /** Neither carried out nor answered until the caller's deadline. */
  | 'hang';

/** One Lease with optimistic locking, and a client of it for each candidate, that fails as a test says. */
export class LeaseServer {
  lease: Lease | undefined;
  /** Writes that were carried out. */
  writes = 0;
  readonly #clock: Clock;
  #version = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What a candidate's client does. */
  client(faults: { now: LeaseFault }): KubeApi {
    const answer = <T>({ timeoutMs = 7000 }: CallOptions = {}, act: () => T): Promise<T> => {
      const fault = faults.now;
      if (fault === 'hang') {
        const late = failure(0, 'DeadlineExceeded');
        return new Promise((_resolve, reject) => this.#clock.setTimeout(() => reject(late), timeoutMs));
      }
      if (fault === 'error') return Promise.reject(failure(0, 'ConnectFailed'));
      return Promise.resolve().then(async () => {
        const result = act();
        if (fault === 'lostReply') throw failure(0, 'ConnectionLost');
        if (fault === 'slow') await sleep(this.#clock, 3000);
        return result;
      });
    };
    const api = {
      get: (_resource: unknown, _ref: unknown, options?: CallOptions) =>
        answer(options, () => {
          if (this.lease === undefined) throw failure(404, 'NotFound');
          return this.lease;
        }),
      create: (_resource: unknown, _namespace: unknown, body: Lease, options?: CallOptions) =>
        answer(options, () => {
          if (this.lease !== undefined) throw failure(409, 'AlreadyExists');
          return this.#store(body);
        }),
      replace: (_resource: unknown, body: Lease, options?: CallOptions) =>
        answer(options, () => {
          if (this.lease === undefined) throw failure(404, 'NotFound');
          if (body.metadata.resourceVersion !== this.lease.metadata.resourceVersion) throw failure(409, 'Conflict');
          return this.#store(body);
        }),
    };
    return api as unknown as KubeApi;
  }

  #store(body: Lease): Lease {
    this.writes++;
    this.lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(++this.#version) } };
    return this.lease;
  }
}

function failure(code: number, reason: string): KubeError {
  return new KubeError(reason, { code, reason, outcome: reason === 'ConnectionLost' ? 'unknown' : 'refused' });
}
