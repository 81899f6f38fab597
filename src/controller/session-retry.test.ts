import { describe, expect, it } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import type { Delivery } from './session-facts.ts';
import { attemptOf, isSpent, mayRetry, UNREACHABLE_MS } from './session-retry.ts';
import { endedNow, makeHttpPod, recordOf, runningNow, waitingNow } from './testing/http-objects.ts';
import { boundStatus, makePod, makeSession, terminated } from './testing/objects.ts';

const session = makeSession('a', { status: boundStatus(makeSession('a')) });
const SENT: Delivery = { sent: true };
const NOT_SENT: Delivery = { sent: false };
const unreachable = (ms: number): Delivery => ({ sent: false, unreachableForMs: ms });

const pod = (options: Parameters<typeof makeHttpPod>[1] = {}): Pod => makeHttpPod(session, options);
const ended = (exit: object): Pod => pod({ phase: 'Failed', supervisor: endedNow(2, 9, 1, exit) });
const untold = recordOf({ outcome: 'Stopped', delivered: false });
/** Without an address nobody could ever speak to it. */
const noAddress = (options: Parameters<typeof makeHttpPod>[1] = {}): Pod =>
  pod({ ...options, status: { ...options.status, podIP: undefined } as never });
/** What the kubelet says of a container that it no longer knows. */
const LOST = { reason: 'ContainerStatusUnknown', startedAt: null, finishedAt: null };

describe('a Session whose pod is over', () => {
  it.each<[string, boolean, Pod, Delivery | undefined]>([
    ['gets another when the supervisor says that nothing was delivered', true, ended(untold), SENT],
    ['… to whichever process that asks', true, ended(untold), undefined],
    ['gets none when the supervisor says that it was', false, ended(recordOf({ outcome: 'Stopped' })), NOT_SENT],
    ['gets another when this process, which alone could, has told nothing', true, ended({}), NOT_SENT],
    ['gets none when something was sent and nobody knows what became of it', false, ended({}), SENT],
    ['gets none when another process may have told it', false, ended({}), undefined],
    ['gets another when no node ever gave the pod an address', true, noAddress({ phase: 'Failed' }), undefined],
    [
      '… such as one whose images were never pulled',
      true,
      noAddress({ phase: 'Failed', supervisor: waitingNow('PodInitializing') }),
      undefined,
    ],
    [
      'gets none when its supervisor is said not to have run: who had the address may have been told',
      false,
      pod({
        phase: 'Failed',
        supervisor: endedNow(0, 9, 128, { reason: 'StartError', startedAt: '1970-01-01T00:00:00Z' }),
      }),
      undefined,
    ],
    [
      'gets none when its kubelet has lost track of its supervisor',
      false,
      pod({ phase: 'Failed', supervisor: endedNow(0, 9, 137, LOST) }),
      undefined,
    ],
    [
      '… unless this process, which alone could, has told nothing',
      true,
      pod({ phase: 'Failed', supervisor: endedNow(0, 9, 137, LOST) }),
      NOT_SENT,
    ],
    [
      'gets none when this process has sent something, although nothing shows that the supervisor ran',
      false,
      noAddress({ phase: 'Failed' }),
      SENT,
    ],
    ['gets none with its node, from a process that knows nothing', false, pod(), undefined],
    [
      'gets none while its supervisor may run on a node that is lost',
      false,
      pod({ supervisor: runningNow(2) }),
      undefined,
    ],
  ])('%s', (_name, expected, of, delivery) => {
    expect(mayRetry(session, of, true, delivery)).toBe(expected);
  });

  it('gets none when an init container of the user’s failed: it would fail again', () => {
    const status = {
      initContainerStatuses: [
        { name: 'prepare', image: '', imageID: '', ready: false, restartCount: 0, ...endedNow(1, 2, 3) },
      ],
    };
    for (const delivery of [undefined, NOT_SENT]) {
      expect(mayRetry(session, noAddress({ phase: 'Failed', status }), true, delivery)).toBe(false);
      expect(mayRetry(session, pod({ phase: 'Failed', status }), true, delivery)).toBe(false);
    }
    // It has done its work, and died with the pod.
    const sidecar = pod({ phase: 'Failed', supervisor: endedNow(2, 9, 137), status });
    expect(mayRetry(session, sidecar, true, NOT_SENT)).toBe(true);
  });

  it('gets none once it has begun, whatever a pod says', () => {
    const begun = {
      ...session,
      status: { ...session.status, startedAt: '2026-01-01T00:00:05.400Z' },
    } as typeof session;
    expect(mayRetry(begun, ended(untold), true, NOT_SENT)).toBe(false);
  });

  it('gets none of protocol Process: its agent was told with its pod', () => {
    const process = makePod(session, { status: terminated('Failed', { exitCode: 1 }) });
    expect(mayRetry(session, process, true, NOT_SENT)).toBe(false);
  });

  it('gets none because nobody opened its WebSocket, and another when that could not be opened', () => {
    const webSocket = { ...session, spec: { ...session.spec, transport: 'WebSocket' } } as typeof session;
    const undelivered = (outcome: 'NeverReady' | 'Stopped') => ended(recordOf({ outcome, delivered: false }));
    expect(mayRetry(session, undelivered('NeverReady'), true, undefined)).toBe(true);
    expect(mayRetry(webSocket, undelivered('NeverReady'), true, undefined)).toBe(false);
    expect(mayRetry(webSocket, undelivered('Stopped'), true, undefined)).toBe(true);
  });

  it('gets four in all', () => {
    const tried = (attempt: number) => ({ ...session, status: { ...session.status, attempt } }) as typeof session;
    expect([0, 1, 2, 3].map((attempt) => mayRetry(tried(attempt), ended(untold), true, undefined))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('a Session whose pod cannot be reached', () => {
  it('gets another after a while, not before', () => {
    expect(mayRetry(session, pod(), false, unreachable(UNREACHABLE_MS - 1))).toBe(false);
    expect(mayRetry(session, pod(), false, unreachable(UNREACHABLE_MS))).toBe(true);
  });

  it('gets none once something was sent, however long ago', () => {
    expect(mayRetry(session, pod(), false, { sent: true, unreachableForMs: 60_000 })).toBe(false);
  });

  it('gets none while the pod does not say that it is ready: its supervisor is yet to start', () => {
    expect(mayRetry(session, pod({ ready: false }), false, unreachable(60_000))).toBe(false);
  });

  it('gets none when nothing is known of handing it over', () => {
    expect(mayRetry(session, pod(), false, undefined)).toBe(false);
    expect(mayRetry(session, pod(), false, NOT_SENT)).toBe(false);
  });

  it('gets another when the pod has had all its time and was told nothing, whatever was in the way', () => {
    const expired: Delivery = { sent: false, expired: true, problem: 'the body cannot be read: 503' };
    expect(mayRetry(session, pod(), false, expired)).toBe(true);
    expect(mayRetry(session, pod({ ready: false }), false, expired)).toBe(false);
    expect(mayRetry(session, pod(), false, { ...expired, sent: true })).toBe(false);
  });
});

describe('a pod of an earlier try', () => {
  it('is spent', () => {
    const second = { ...session, status: { ...session.status, attempt: 1 } } as typeof session;
    expect(attemptOf(second)).toBe(1);
    expect(isSpent(second, pod({ attempt: 0 }))).toBe(true);
    expect(isSpent(second, pod({ attempt: 1 }))).toBe(false);
    expect(isSpent(session, pod({ attempt: 0 }))).toBe(false);
    expect(attemptOf(undefined)).toBe(0);
  });

  it('is spent also when its record cannot be read: only the first try is one without', () => {
    const second = { ...session, status: { ...session.status, attempt: 1 } } as typeof session;
    expect(isSpent(second, pod({ metadata: { annotations: {} } }))).toBe(true);
    expect(isSpent(session, pod({ metadata: { annotations: {} } }))).toBe(false);
  });
});
