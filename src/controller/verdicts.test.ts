import { describe, expect, it } from 'vitest';
import type { Session, SessionStatus } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { errorFromAnswer } from '../kube/errors.ts';
import { Store } from '../kube/store.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import type { Announcer } from './announcer.ts';
import { sessionIndexes } from './caches.ts';
import { makeSession } from './testing/objects.ts';
import { Verdicts } from './verdicts.ts';

const rejected: SessionStatus = { phase: 'Rejected', reason: 'AtCapacity' };

/** Verdicts over an API whose answers to patches are `answers`, in order: an HTTP status, or 200. */
function setUp(...answers: number[]) {
  const clock = new FakeClock();
  const store = new Store<Session>({ indexes: sessionIndexes });
  const session = makeSession('a');
  store.replaceAll([session], '1');
  const announced: string[] = [];
  const patch = (): Promise<Session> => {
    const code = answers.shift() ?? 200;
    if (code !== 200) return Promise.reject(errorFromAnswer('patch', code, '', undefined));
    return Promise.resolve({ ...session, status: rejected, metadata: { ...session.metadata, resourceVersion: '2' } });
  };
  const get = (): Promise<Session> => patch();
  const announcer = { finished: ({ metadata }: Session) => announced.push(metadata.name) } as unknown as Announcer;
  const api = { patch, get } as unknown as KubeApi;
  return {
    announced,
    clock,
    session,
    store,
    verdicts: new Verdicts({ api, store, announcer, clock, settleAfterMs: 6000 }),
  };
}

describe('a verdict', () => {
  it('is announced when it stands', async () => {
    const { announced, session, store, verdicts } = setUp();
    await verdicts.pass(session, rejected);
    expect(announced).toEqual(['a']);
    expect(store.get('team-a/a')?.status).toEqual(rejected);
    expect(verdicts.pendingOf(session)).toBeUndefined();
  });

  it('is kept when its reply is lost, so that the Session is not decided about anew', async () => {
    const { clock, session, verdicts } = setUp(504);
    await expect(verdicts.pass(session, rejected)).rejects.toThrow();
    expect(verdicts.pendingOf(session)).toEqual(rejected);
    expect(verdicts.allSettleInMs()).toBe(6000);
    clock.advance(6000);
    expect(verdicts.allSettleInMs()).toBe(0);
  });

  it('is dropped when it was refused: nothing stands', async () => {
    const { session, verdicts } = setUp(429);
    await expect(verdicts.pass(session, rejected)).rejects.toThrow();
    expect(verdicts.pendingOf(session)).toBeUndefined();
  });

  it('is settled when it turns out to have been carried out', async () => {
    const { session, store, verdicts, announced } = setUp(504, 422);
    await expect(verdicts.pass(session, rejected)).rejects.toThrow();
    await verdicts.pass(session, rejected);
    // Until the cache shows it, it is not decided about anew.
    expect(verdicts.pendingOf(session)).toBe(rejected);
    store.applyWatch('MODIFIED', {
      ...session,
      metadata: { ...session.metadata, resourceVersion: '99' },
      status: { ...rejected },
    });
    verdicts.prune();
    expect(verdicts.pendingOf(session)).toBeUndefined();
    expect(announced).toEqual([session.metadata.name]);
  });

  it('is forgotten when its Session is over or gone', async () => {
    const { session, store, verdicts } = setUp(504);
    await expect(verdicts.pass(session, rejected)).rejects.toThrow();
    store.applyWatch('DELETED', { ...session, metadata: { ...session.metadata, resourceVersion: '9' } });
    verdicts.prune();
    expect(verdicts.pendingOf(session)).toBeUndefined();
  });
});
