import { expect, it } from 'vitest';
import type { Pod } from '../../kube/objects.ts';
import { Store } from '../../kube/store.ts';
import { kidsInUse } from './kids-in-use.ts';

function storeOf(...pods: [phase: string, keys?: string][]): Store<Pod> {
  const store = new Store<Pod>();
  const items = pods.map(([phase, keys], index) => ({
    metadata: {
      name: `pod-${index}`,
      uid: `uid-${index}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(keys !== undefined && { annotations: { 'bullpen.dev/keys': keys } }),
    },
    status: { phase },
  }));
  store.replaceAll(items as unknown as Pod[], '1');
  return store;
}

it('the keys of live pods are in use, those of ended ones are not', () => {
  const store = storeOf(['Pending', 'b,a'], ['Running', 'a'], ['Running'], ['Failed', 'z']);
  expect(kidsInUse({ store, refusedNamespaces: [] })).toEqual([new Set(['b', 'a']), new Set(['a']), new Set()]);
});

it('which keys are in use is not known while a namespace may not be read', () => {
  expect(kidsInUse({ store: storeOf(), refusedNamespaces: ['gone'] })).toBeUndefined();
});
