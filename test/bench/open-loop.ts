import { setTimeout as sleep } from 'node:timers/promises';

export interface OpenLoopOptions {
  perSecond: number;
  count: number;
  /** `even`: one every so often. `poisson`: independent callers, so some come together and some far apart. */
  arrivals: 'even' | 'poisson';
  /** Sends the n-th (from 0). Nobody waits for it before the next is sent. */
  send: (index: number) => Promise<void>;
}

/**
 * Sends on a schedule that is fixed before the start: when the system under test is slow, the next request is not sent later (what is
 * known as coordinated omission), it waits in the system like that of any other caller.
 *
 * @returns when all are answered: how late each was sent by this process, in milliseconds. Rejects when one of them failed.
 */
export async function openLoop({ perSecond, count, arrivals, send }: OpenLoopOptions): Promise<number[]> {
  const random = seededRandom(1);
  const gaps = Array.from({ length: count }, () => (arrivals === 'even' ? 1 : -Math.log(1 - random())) / perSecond);
  const start = performance.now() + 100;
  const lateness: number[] = [];
  const sent: Promise<void>[] = [];
  let due = start;
  for (const [index, gap] of gaps.entries()) {
    const left = due - performance.now();
    if (left > 0) await sleep(left);
    lateness.push(Math.max(0, performance.now() - due));
    const request = send(index);
    request.catch(() => undefined); // looked at below
    sent.push(request);
    due += gap * 1000;
  }
  await Promise.all(sent);
  return lateness;
}

/** The same sequence in every run (mulberry32), so that runs differ by the system and not by the schedule. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
