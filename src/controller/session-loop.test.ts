import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Session, SessionStatus } from '../api/session.ts';
import type { JsonPatchOp, KubeApi } from '../kube/api.ts';
import type { Node, Pod } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';
import { Store } from '../kube/store.ts';
import { FakeClock } from '../kube/testing/fake-clock.ts';
import { createControllerMetrics } from '../telemetry/metrics.ts';
import { Ledger } from '../usage/ledger.ts';
import type { Announcer } from './announcer.ts';
import { podIndexes, sessionIndexes, type Caches } from './caches.ts';
import { Deliverer } from './delivery/deliverer.ts';
import type { SupervisorAnswer, SupervisorRequest } from './delivery/supervisor-client.ts';
import { NodeWatch } from './node-watch.ts';
import { SessionLoop } from './session-loop.ts';
import { endedNow, makeHttpPod, makeNode, recordOf, runningNow } from './testing/http-objects.ts';
import { boundStatus, EPOCH, makeSession, NAMESPACE } from './testing/objects.ts';

const UNREACHABLE: SupervisorAnswer = { kind: 'unreachable', message: 'connect ECONNREFUSED' };
const both = { agent: runningNow(1), supervisor: runningNow(2) };

let clock: FakeClock;
let caches: Caches;
let deliverer: Deliverer;
let loop: SessionLoop;
let calls: SupervisorRequest[];
let answer: (request: SupervisorRequest) => SupervisorAnswer | Promise<SupervisorAnswer>;
/** Statuses that were written, in order. */
let written: SessionStatus[];

const session = makeSession('a', { status: boundStatus(makeSession('a')) });
const { uid } = session.metadata;
const podUid = session.status?.podUID ?? '';
let version: number;

beforeEach(() => {
  clock = new FakeClock(EPOCH + 3000);
  caches = {
    agents: new Store(),
    sessions: new Store<Session>({ indexes: sessionIndexes }),
    pods: new Store<Pod>({ indexes: podIndexes }),
    nodes: new Store<Node>(),
  };
  caches.nodes.replaceAll([makeNode('node-1')], '1');
  caches.sessions.replaceAll([session], '1');
  calls = [];
  written = [];
  answer = () => UNREACHABLE;
  version = 100;
  const api = {
    patch: (resource: Resource, _ref: unknown, { ops }: { ops: JsonPatchOp[] }) => {
      if (resource.kind !== 'Session') throw new Error(`unexpected patch of a ${resource.kind}`);
      const op = ops.at(-1);
      if (op === undefined || !('value' in op)) throw new Error('a status is to be written');
      const status = op.value as SessionStatus;
      written.push(status);
      const latest = caches.sessions.get(`${NAMESPACE}/a`) ?? session;
      return Promise.resolve({
        ...latest,
        metadata: { ...latest.metadata, resourceVersion: String((version += 1)) },
        status,
      });
    },
  } as unknown as KubeApi;
  const silent = () => undefined;
  const metrics = createControllerMetrics(new Registry());
  deliverer = new Deliverer({
    signer: { sign: () => Promise.resolve('token') },
    call: async (request) => {
      calls.push(request);
      return await answer(request);
    },
    clock,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    wake: silent,
  });
  deliverer.bound(uid, podUid);
  loop = new SessionLoop({
    api,
    caches,
    bodies: { api, keys: { open: () => Promise.reject(new Error('nothing is sealed here')) } },
    nodes: new NodeWatch({ api, store: caches.nodes, clock }),
    deliverer,
    ledger: new Ledger(metrics),
    announcer: { waiting: silent, started: silent, finished: silent } as unknown as Announcer,
    metrics,
    clock,
  });
});

/** One pass over the Session with its pod as it is now. */
async function pass(options: Parameters<typeof makeHttpPod>[1]): Promise<void> {
  const resourceVersion = String((version += 1));
  caches.pods.replaceAll([makeHttpPod(session, { ...options, metadata: { resourceVersion } })], resourceVersion);
  await loop.reconcile(uid);
  await clock.advanceAsync(0);
}

const retries = () => written.map(({ reason, attempt }) => ({ reason, attempt }));

describe('a pod that dies', () => {
  it('between its binding and the first word to it costs the Session another try, and nothing more', async () => {
    await pass({ phase: 'Failed', supervisor: endedNow(2, 3, 137), agent: endedNow(1, 3, 137) });
    expect(retries()).toEqual([{ reason: 'Retrying', attempt: 1 }]);
    expect(calls).toEqual([]);
  });
});

describe('a pod that is given up', () => {
  it('is told nothing any more before the Session is promised to another', async () => {
    await pass(both);
    await clock.advanceAsync(4000);
    const asked = calls.length;
    expect(asked).toBeGreaterThan(0);
    await pass(both);
    expect(retries().at(-1)).toEqual({ reason: 'Retrying', attempt: 1 });
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(asked);
  });

  it('keeps its Session when it is told in the very moment in which it is given up', async () => {
    await pass(both);
    await clock.advanceAsync(4000);
    const { promise, resolve } = Promise.withResolvers<SupervisorAnswer>();
    answer = () => promise;
    await clock.advanceAsync(500);
    const before = written.length;
    const stateOf = deliverer.stateOf.bind(deliverer);
    deliverer.stateOf = (...args) => {
      const state = stateOf(...args);
      // After this has been looked at, and before anything follows from it.
      calls.at(-1)?.onSend();
      return state;
    };
    await pass(both);
    deliverer.stateOf = stateOf;
    expect(written).toHaveLength(before);
    resolve({ kind: 'answered', reply: { state: 'started', startedAt: EPOCH + 5_400 } });
    await clock.advanceAsync(0);
    await pass(both);
    expect(written.at(-1)).toMatchObject({ phase: 'Running' });
  });

  it.for([
    ['was spoken to by this process', true],
    ['was spoken to by another, or by none', false],
  ] as const)('is one whose supervisor says that nothing was delivered, also when it %s', async ([, here]) => {
    answer = (request) => {
      request.onSend();
      return { kind: 'answered', reply: { state: 'over' } };
    };
    if (here) await pass(both);
    const neverReady = recordOf({ outcome: 'NeverReady', delivered: false, message: 'it was never ready' });
    await pass({ phase: 'Failed', supervisor: endedNow(2, 12, 0, neverReady), agent: runningNow(1) });
    expect(retries().at(-1)).toEqual({ reason: 'Retrying', attempt: 1 });
  });
});

it.each([
  [undefined, undefined],
  ['WebSocket', 'websocket'],
] as const)('a supervisor is told of transport %s', async (transport, told) => {
  const metadata = { ...session.metadata, resourceVersion: String((version += 1)) };
  const spec = { ...session.spec, ...(transport && { transport }) };
  caches.sessions.replaceAll([{ ...session, metadata, spec }], metadata.resourceVersion);
  await pass(both);
  const said = await calls[0]?.say();
  const request = JSON.parse(String(said?.body)) as { uid: string; transport?: string };
  expect([request.uid, request.transport]).toEqual([uid, told]);
});
