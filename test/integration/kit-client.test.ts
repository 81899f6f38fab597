import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiVersion } from '../../src/api/names.ts';
import { agents } from '../../src/api/resources.ts';
import type { JsonPatchOp, KubeApi } from '../../src/kube/api.ts';
import { isAlreadyExists, isConflict, isGone, isInvalid, isNotFound, KubeError } from '../../src/kube/errors.ts';
import { hasFinalizer, removeFinalizerPatch } from '../../src/kube/finalizers.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { configMaps, type ConfigMap } from '../support/config-maps.ts';
import { applyCrds } from '../support/crds.ts';
import { TestKube } from '../support/kube.ts';

/** What the controller takes for granted about an API server, on a real one. */
const cluster = await connectCluster();
const namespace = `kit-client-${Date.now().toString(36)}`;
const kube = new TestKube(cluster, namespace);
const api: KubeApi = kube.api;

beforeAll(async () => {
  await Promise.all([kube.createNamespace(), applyCrds(cluster)]);
});

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await kube.close();
});

async function make(name: string, more: Partial<ConfigMap['metadata']> = {}): Promise<ConfigMap> {
  return await api.create(configMaps, namespace, { metadata: { name, ...more }, data: { key: 'value' } });
}

const patch = (name: string, ops: JsonPatchOp[]): Promise<ConfigMap> =>
  api.patch(configMaps, { namespace, name }, { type: 'json', ops });

/** What a call that must fail fails with. */
async function failure(call: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await call.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof KubeError) return error;
  throw error;
}

describe.concurrent('a JSON patch', () => {
  test('changes nothing unless all its tests hold', async () => {
    const { metadata } = await make('tests');
    const error = await failure(
      patch('tests', [
        { op: 'test', path: '/metadata/uid', value: 'another-uid' },
        { op: 'add', path: '/data/key', value: 'changed' },
      ]),
    );
    expect(isInvalid(error) && error.outcome === 'refused').toBe(true);
    const changed = await patch('tests', [
      { op: 'test', path: '/metadata/uid', value: metadata.uid },
      { op: 'test', path: '/data/key', value: 'value' },
      { op: 'add', path: '/data/key', value: 'changed' },
    ]);
    expect(changed.data).toEqual({ key: 'changed' });
  });

  test('may test that something is absent, by comparing it with null', async () => {
    await make('absent', { finalizers: ['bullpen.dev/test'] });
    const notDeleted: JsonPatchOp = { op: 'test', path: '/metadata/deletionTimestamp', value: null };
    await patch('absent', [notDeleted, { op: 'add', path: '/data/key', value: 'claimed' }]);
    await api.delete(configMaps, { namespace, name: 'absent' });
    const late = [notDeleted, { op: 'add', path: '/data/key', value: 'too late' } as const];
    expect(isInvalid(await failure(patch('absent', late)))).toBe(true);
    await patch('absent', [{ op: 'remove', path: '/metadata/finalizers' }]);
  });

  test('of /status holds against the uid, which a merge patch there would not', async () => {
    const spec = { protocol: 'Process', image: 'none' } as const;
    await api.create(agents, namespace, { apiVersion, kind: 'Agent', metadata: { name: 'status' }, spec });
    const ref = { namespace, name: 'status' };
    const ops: JsonPatchOp[] = [
      { op: 'test', path: '/metadata/uid', value: 'another-uid' },
      { op: 'add', path: '/status', value: { activeSessions: 1 } },
    ];
    const refused = await failure(api.patch(agents, ref, { type: 'json', ops }, { subresource: 'status' }));
    expect(isInvalid(refused)).toBe(true);
    const body = { metadata: { uid: 'another-uid' }, status: { activeSessions: 2 } };
    const merged = await api.patch(agents, ref, { type: 'merge', body }, { subresource: 'status' });
    expect(merged.status?.activeSessions).toBe(2);
  });

  test('removes one finalizer and leaves the others', async () => {
    const made = await make('finalizers', { finalizers: ['a.example/x', 'bullpen.dev/test', 'b.example/y'] });
    const left = await patch('finalizers', removeFinalizerPatch(made, 'bullpen.dev/test'));
    expect(left.metadata.finalizers).toEqual(['a.example/x', 'b.example/y']);
    // Made from what was seen before: it must not take another's away.
    expect(isInvalid(await failure(patch('finalizers', removeFinalizerPatch(made, 'bullpen.dev/test'))))).toBe(true);
    await api.patch(
      configMaps,
      { namespace, name: 'finalizers' },
      { type: 'merge', body: { metadata: { finalizers: null } } },
    );
  });
});

describe.concurrent('a deletion', () => {
  test('happens only to the very object that it names by uid, in the version that it names', async () => {
    const ref = { namespace, name: 'deleted' };
    const { uid, resourceVersion } = (await make('deleted')).metadata;
    const another = await failure(api.delete(configMaps, ref, { uid: 'another-uid' }));
    expect(isConflict(another) && another.outcome === 'refused').toBe(true);
    await patch('deleted', [{ op: 'add', path: '/data/key', value: 'changed' }]);
    expect(isConflict(await failure(api.delete(configMaps, ref, { uid, resourceVersion })))).toBe(true);
    await api.delete(configMaps, ref, { uid });
    expect(isNotFound(await failure(api.get(configMaps, ref)))).toBe(true);
    expect(isNotFound(await failure(api.delete(configMaps, ref, { uid })))).toBe(true);
  });

  test('answers with the object while a finalizer holds it', async () => {
    const made = await make('held', { finalizers: ['bullpen.dev/test'] });
    const held = await api.delete(configMaps, { namespace, name: 'held' }, { uid: made.metadata.uid });
    expect(held?.metadata.deletionTimestamp).toBeDefined();
    expect(held !== undefined && hasFinalizer(held, 'bullpen.dev/test')).toBe(true);
    // Its name is taken until it is gone.
    expect(isAlreadyExists(await failure(make('held')))).toBe(true);
    await patch('held', removeFinalizerPatch(made, 'bullpen.dev/test'));
    expect((await make('held')).metadata.uid).not.toBe(made.metadata.uid);
  });
});

describe.concurrent('other writes', () => {
  test('a replacement and a merge patch of an older version are refused as conflicts', async () => {
    const made = await make('versions');
    const newer = await api.replace(configMaps, { ...made, data: { key: 'newer' } });
    expect(isConflict(await failure(api.replace(configMaps, made)))).toBe(true);
    const { resourceVersion } = made.metadata;
    const body = { metadata: { resourceVersion }, data: { key: 'older' } };
    expect(
      isConflict(await failure(api.patch(configMaps, { namespace, name: 'versions' }, { type: 'merge', body }))),
    ).toBe(true);
    expect(Number(newer.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion));
  });

  test('an apply makes what is missing, and does not take fields from others', async () => {
    const ref = { namespace, name: 'applied' };
    const apply = (fieldManager: string, value: string): Promise<ConfigMap> => {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: ref, data: { key: value } };
      return api.patch(configMaps, ref, { type: 'apply', body }, { fieldManager });
    };
    expect((await apply('one', 'first')).data).toEqual({ key: 'first' });
    expect(isConflict(await failure(apply('two', 'second')))).toBe(true);
  });

  test('what is invalid is refused with words for people, and what exists is not made again', async () => {
    const error = await failure(make('No_Name'));
    expect(isInvalid(error)).toBe(true);
    expect(error.message).toContain('metadata.name');
    await make('twice');
    const again = await failure(make('twice'));
    expect(isAlreadyExists(again) && !isConflict(again) && again.outcome === 'refused').toBe(true);
  });
});

describe.concurrent('reads', () => {
  test('a list in pages shows one state, whatever happens between them', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `page-${index}`);
    await Promise.all(names.map((name) => make(name, { labels: { test: 'pages' } })));
    const options = { namespace, labelSelector: 'test=pages', limit: 3 };
    const first = await api.list(configMaps, options);
    await api.delete(configMaps, { namespace, name: 'page-6' });
    const second = await api.list(configMaps, { ...options, continue: first.continue });
    const third = await api.list(configMaps, { ...options, continue: second.continue });
    const pages = [first, second, third];
    expect(pages.flatMap(({ items }) => items.map(({ metadata }) => metadata.name)).sort()).toEqual(names);
    expect(new Set(pages.map(({ resourceVersion }) => resourceVersion)).size).toBe(1);
    expect(third.continue).toBeUndefined();
    expect(first.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
  });

  test('a watch from a version that is long gone ends with 410', async () => {
    const watch = async (): Promise<void> => {
      const signal = AbortSignal.timeout(20_000);
      for await (const event of api.watch(configMaps, { namespace, resourceVersion: '1', signal })) {
        if (event.type === 'ERROR') expect(event.object).toMatchObject({ code: 410, reason: 'Expired' });
        return;
      }
    };
    // As an answer or as an event, as the server likes.
    await watch().catch((error: unknown) => expect(isGone(error)).toBe(true));
  });

  test('what does not exist is NotFound; what is not served is not, for it may be served in a moment', async () => {
    expect(isNotFound(await failure(api.get(configMaps, { namespace, name: 'never' })))).toBe(true);
    const nothing = { ...configMaps, group: 'nothing.example', plural: 'nothings' };
    const error = await failure(api.get(nothing, { namespace, name: 'never' }));
    expect(error).toMatchObject({ code: 404, reason: 'NotServed' });
    expect(isNotFound(error)).toBe(false);
  });
});
