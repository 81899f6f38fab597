import { expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import { Store } from '../kube/store.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { Arrivals } from './arrivals.ts';
import { makeSession } from './testing/objects.ts';

function setUp() {
  const clock = new FakeClock('2030-01-01T00:00:00Z');
  const store = new Store<Session>();
  const arrivals = new Arrivals({ clock });
  const stop = arrivals.follow(store);
  return { clock, store, arrivals, stop };
}

it('measures how long ago a Session came to a fraction of a second', () => {
  const { clock, store, arrivals } = setUp();
  const session = makeSession('s');
  store.applyWatch('ADDED', session);
  clock.advance(42);
  expect(arrivals.takeAge(session)).toBeCloseTo(0.042);
});

it('takes the creation time of one that nobody saw come', () => {
  const { clock, arrivals } = setUp();
  const session = makeSession('s');
  const age = (clock.now() - Date.parse(session.metadata.creationTimestamp)) / 1000;
  expect(arrivals.takeAge(session)).toBeCloseTo(age);
});

it('forgets what has gone', () => {
  const { clock, store, arrivals } = setUp();
  const session = makeSession('s');
  store.applyWatch('ADDED', session);
  store.applyWatch('DELETED', { ...session, metadata: { ...session.metadata, resourceVersion: '9999' } });
  clock.advance(42);
  expect(arrivals.takeAge(session)).not.toBeCloseTo(0.042);
});
