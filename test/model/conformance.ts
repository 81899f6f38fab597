import assert from 'node:assert/strict';
import type { Session } from '../../src/api/session.ts';
import { sessions } from '../../src/api/resources.ts';
import type { JsonPatchOp, KubeApi } from '../../src/kube/api.ts';
import { isAlreadyExists, isConflict, isInvalid, isNotFound } from '../../src/kube/errors.ts';
import type { NewObject, Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { compareVersions } from '../../src/kube/resource-version.ts';

/** An API without its watches: what the model and a real API server must agree on. */
export type Api = Omit<KubeApi, 'watch'>;

/** One thing that the controller relies on. Each makes its own objects, whose names begin with `name`, and leaves none that live. */
export interface ConformanceCase {
  promise: string;
  run: (api: Api, namespace: string, name: string) => Promise<void>;
}

const FINALIZER = 'bullpen.dev/session-record';

function session(name: string, metadata: object = {}): NewObject<Session> {
  const spec = { agent: 'echo' };
  return { metadata: { name, ...metadata }, spec, status: { phase: 'Ended' } } as unknown as NewObject<Session>;
}

function pod(name: string, metadata: object = {}, spec: object = {}): NewObject<Pod> {
  const containers = [{ name: 'agent', image: 'example.invalid/none:1' }];
  return { metadata: { name, ...metadata }, spec: { containers, ...spec } };
}

async function refused(call: Promise<unknown>, how: (error: unknown) => boolean): Promise<void> {
  const error = await call.then(
    () => assert.fail('the server should have refused this'),
    (reason: unknown) => reason,
  );
  assert.ok(how(error), `refused in another way: ${String(error)}`);
}

const json = (...ops: JsonPatchOp[]) => ({ type: 'json' as const, ops });
const merge = (body: unknown) => ({ type: 'merge' as const, body });
const STATUS = { subresource: 'status' };

export const conformance: readonly ConformanceCase[] = [
  {
    promise: 'create fills in the metadata and drops the status',
    async run(api, namespace, name) {
      const { metadata, status } = await api.create(sessions, namespace, session(name));
      assert.ok(metadata.uid && metadata.resourceVersion);
      assert.equal(metadata.generation, 1);
      assert.match(metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.equal(status, undefined);
      await api.delete(sessions, { namespace, name });
    },
  },
  {
    promise: 'a name is given once: 409 AlreadyExists, and 404 for what does not exist',
    async run(api, namespace, name) {
      await refused(api.get(sessions, { namespace, name }), isNotFound);
      await api.create(sessions, namespace, session(name));
      await refused(api.create(sessions, namespace, session(name)), isAlreadyExists);
      await api.delete(sessions, { namespace, name });
      await refused(api.delete(sessions, { namespace, name }), isNotFound);
      const phase = json({ op: 'add', path: '/status', value: { phase: 'Pending' } });
      await refused(api.patch(sessions, { namespace, name }, phase, STATUS), isNotFound);
    },
  },
  {
    promise: 'a JSON patch whose test fails is refused with 422 and changes nothing',
    async run(api, namespace, name) {
      const made = await api.create(sessions, namespace, session(name));
      const wrongUid: JsonPatchOp = { op: 'test', path: '/metadata/uid', value: 'other' };
      const write: JsonPatchOp = { op: 'add', path: '/status', value: { phase: 'Starting' } };
      await refused(api.patch(sessions, { namespace, name }, json(wrongUid, write), STATUS), isInvalid);
      assert.equal(
        (await api.get(sessions, { namespace, name })).metadata.resourceVersion,
        made.metadata.resourceVersion,
      );
      await api.delete(sessions, { namespace, name });
    },
  },
  {
    promise: 'what is missing tests equal to null, if that which it would be in exists',
    async run(api, namespace, name) {
      await api.create(sessions, namespace, session(name));
      const ref = { namespace, name };
      const write: JsonPatchOp = { op: 'add', path: '/status', value: { message: 'x' } };
      const deep: JsonPatchOp = { op: 'test', path: '/status/phase', value: null };
      await refused(api.patch(sessions, ref, json(deep, write), STATUS), isInvalid);
      await api.patch(sessions, ref, json({ op: 'test', path: '/status', value: null }, write), STATUS);
      await refused(
        api.patch(sessions, ref, json({ op: 'test', path: '/status', value: null }, write), STATUS),
        isInvalid,
      );
      await api.patch(sessions, ref, json(deep, write), STATUS);
      await api.delete(sessions, ref);
    },
  },
  {
    promise: 'spec and status are written apart, and only the spec makes a new generation',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      await api.create(sessions, namespace, session(name));
      const both = { spec: { stop: true }, status: { phase: 'Starting' } };
      const first = await api.patch(sessions, ref, merge(both), STATUS);
      assert.deepEqual([first.spec.stop, first.status?.phase, first.metadata.generation], [undefined, 'Starting', 1]);
      const second = await api.patch(sessions, ref, merge({ ...both, status: { phase: 'Running' } }));
      assert.deepEqual([second.spec.stop, second.status?.phase, second.metadata.generation], [true, 'Starting', 2]);
      assert.ok(compareVersions(second.metadata.resourceVersion, first.metadata.resourceVersion) > 0);
      await api.delete(sessions, ref);
    },
  },
  {
    promise: 'a patch that changes nothing makes no new version',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      await api.create(sessions, namespace, session(name));
      const first = await api.patch(sessions, ref, merge({ spec: { stop: true } }));
      const second = await api.patch(sessions, ref, merge({ spec: { stop: true } }));
      assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
      await api.delete(sessions, ref);
    },
  },
  {
    promise: 'a stale resourceVersion and a uid of another object are refused with 409 Conflict',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      const { metadata } = await api.create(sessions, namespace, session(name));
      await api.patch(sessions, ref, merge({ spec: { stop: true } }));
      const stale = { metadata: { resourceVersion: metadata.resourceVersion }, spec: { ttlSecondsAfterFinished: 1 } };
      await refused(api.patch(sessions, ref, merge(stale)), isConflict);
      await refused(api.delete(sessions, ref, { uid: 'other' }), isConflict);
      await refused(api.delete(sessions, ref, { resourceVersion: metadata.resourceVersion }), isConflict);
      await api.delete(sessions, ref, { uid: metadata.uid });
    },
  },
  {
    promise: 'a finalizer keeps an object until it is taken away; none can be added then',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      await api.create(sessions, namespace, session(name, { finalizers: [FINALIZER] }));
      const marked = await api.delete(sessions, ref);
      assert.ok(marked?.metadata.deletionTimestamp);
      const again = await api.delete(sessions, ref);
      assert.equal(again?.metadata.resourceVersion, marked.metadata.resourceVersion);
      const add: JsonPatchOp = { op: 'add', path: '/metadata/finalizers/-', value: 'bullpen.dev/other' };
      await refused(api.patch(sessions, ref, json(add)), isInvalid);
      const last = await api.patch(sessions, ref, json({ op: 'remove', path: '/metadata/finalizers/0' }));
      assert.ok(last.metadata.deletionTimestamp);
      await refused(api.get(sessions, ref), isNotFound);
    },
  },
  {
    promise: 'the reply to DELETE has no object when an own resource is gone by it, and the pod when a pod is',
    async run(api, namespace, name) {
      await api.create(sessions, namespace, session(name));
      assert.equal(await api.delete(sessions, { namespace, name }), undefined);
      await api.create(pods, namespace, pod(name));
      const gone = await api.delete(pods, { namespace, name });
      assert.equal(gone?.metadata.name, name);
      await refused(api.get(pods, { namespace, name }), isNotFound);
    },
  },
  {
    promise: 'activeDeadlineSeconds of a pod can be set and lowered, never raised or removed',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      await api.create(pods, namespace, pod(name));
      const set = (value: number) =>
        api.patch(pods, ref, json({ op: 'add', path: '/spec/activeDeadlineSeconds', value }));
      assert.equal((await set(100)).spec.activeDeadlineSeconds, 100);
      assert.equal((await set(1)).spec.activeDeadlineSeconds, 1);
      await refused(set(2), isInvalid);
      await refused(api.patch(pods, ref, json({ op: 'remove', path: '/spec/activeDeadlineSeconds' })), isInvalid);
      await refused(api.create(pods, namespace, pod(`${name}-0`, {}, { activeDeadlineSeconds: 0 })), isInvalid);
      await api.delete(pods, ref);
    },
  },
  {
    promise: 'a pod without a node has no grace: it goes at once, or with its last finalizer',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      await api.create(pods, namespace, pod(name, { finalizers: [FINALIZER] }));
      const marked = await api.delete(pods, ref, { gracePeriodSeconds: 30 });
      assert.equal(marked?.metadata.deletionGracePeriodSeconds, 0);
      assert.ok(marked.metadata.deletionTimestamp);
      await api.patch(pods, ref, json({ op: 'remove', path: '/metadata/finalizers/0' }));
      await refused(api.get(pods, ref), isNotFound);
    },
  },
  {
    promise: 'a pod has a phase from its creation on, and its status cannot be written with its spec',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      const made = await api.create(pods, namespace, pod(name));
      assert.equal(made.status.phase, 'Pending');
      const patched = await api.patch(
        pods,
        ref,
        merge({ status: { phase: 'Failed' }, metadata: { labels: { a: 'b' } } }),
      );
      assert.deepEqual([patched.status.phase, patched.metadata.labels], ['Pending', { a: 'b' }]);
      await refused(api.patch(pods, ref, merge({ spec: { nodeName: 'elsewhere' } })), isInvalid);
      await api.delete(pods, ref);
    },
  },
  {
    promise: 'a pod with a phase that is final is deleted without grace',
    async run(api, namespace, name) {
      const ref = { namespace, name };
      await api.create(pods, namespace, pod(name, { finalizers: [FINALIZER] }));
      await api.patch(pods, ref, merge({ status: { phase: 'Failed' } }), STATUS);
      const marked = await api.delete(pods, ref);
      assert.equal(marked?.metadata.deletionGracePeriodSeconds, 0);
      await api.patch(pods, ref, json({ op: 'remove', path: '/metadata/finalizers/0' }));
      await refused(api.get(pods, ref), isNotFound);
    },
  },
  {
    promise: 'a list shows what a label selector asks for, as of one version',
    async run(api, namespace, name) {
      const first = await api.create(sessions, namespace, session(`${name}-a`, { labels: { test: name, x: '1' } }));
      const second = await api.create(sessions, namespace, session(`${name}-b`, { labels: { test: name } }));
      const names = async (labelSelector: string): Promise<string[]> => {
        const { items, resourceVersion } = await api.list(sessions, { namespace, labelSelector });
        assert.ok(compareVersions(resourceVersion, second.metadata.resourceVersion) >= 0);
        return items.map(({ metadata }) => metadata.name).sort();
      };
      assert.deepEqual(await names(`test=${name}`), [first.metadata.name, second.metadata.name]);
      assert.deepEqual(await names(`test=${name},x`), [first.metadata.name]);
      for (const { metadata } of [first, second]) await api.delete(sessions, { namespace, name: metadata.name });
    },
  },
];
