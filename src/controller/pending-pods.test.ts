import { describe, expect, it } from 'vitest';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { PendingPods } from './pending-pods.ts';

const pod = { agentKey: 'ns/echo', namespace: 'ns', name: 'p', sessionUid: 'u' };

function pendingPods() {
  const clock = new FakeClock();
  return { clock, pending: new PendingPods({ clock, settleAfterMs: 6000 }) };
}

describe('a pod whose creation was sent', () => {
  it('holds its place until the result is known', () => {
    const { pending } = pendingPods();
    pending.sent(pod);
    expect(pending.ofAgent('ns/echo')).toMatchObject([{ name: 'p', state: 'sent' }]);
    expect(pending.ofAgent('ns/other')).toEqual([]);
    pending.settled(pod);
    expect(pending.ofAgent('ns/echo')).toEqual([]);
  });

  it('holds it however old it is: age settles nothing', () => {
    const { clock, pending } = pendingPods();
    pending.sent(pod);
    pending.unknown(pod);
    clock.advance(3_600_000);
    expect(pending.ofAgent('ns/echo')).toMatchObject([{ state: 'unknown' }]);
  });

  it('gives it back when all has been done, unless the result is not known', () => {
    const { pending } = pendingPods();
    const other = { ...pod, name: 'q' };
    pending.sent(pod);
    pending.sent(other);
    pending.unknown(other);
    for (const each of [pod, other]) pending.settledUnlessUnknown(each);
    expect(pending.ofAgent('ns/echo')).toMatchObject([{ name: 'q', state: 'unknown' }]);
  });

  it('says when a fresh read settles it, which is when a handover is clean', () => {
    const { clock, pending } = pendingPods();
    expect(pending.allSettleInMs()).toBe(0);
    pending.sent(pod);
    clock.advance(7000); // It waited for a connection: it may have been sent only now.
    pending.unknown(pod);
    clock.advance(2000);
    expect(pending.allSettleInMs()).toBe(4000);
    clock.advance(5000);
    expect(pending.allSettleInMs()).toBe(0);
  });
});
