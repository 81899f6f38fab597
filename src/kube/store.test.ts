import { describe, expect, it, vi } from 'vitest';
import { keyOf, Store, type StoreChange } from './store.ts';
import { testObject as object, type TestObject } from './testing/objects.ts';

function recorded(store: Store<TestObject>): string[] {
  const changes: string[] = [];
  store.subscribe(({ type, object: { metadata } }: StoreChange<TestObject>) => {
    changes.push(`${type} ${metadata.uid} ${metadata.resourceVersion}`);
  });
  return changes;
}

describe('our own writes', () => {
  it('show at once, and a late event does not take them back', () => {
    const store = new Store<TestObject>();
    store.replaceAll([object('a', 1)], '5');
    const changes = recorded(store);
    store.writeThrough(object('a', 7));
    store.applyWatch('MODIFIED', object('a', 6));
    expect(store.get('ns/a')?.metadata.resourceVersion).toBe('7');
    expect(changes).toEqual(['updated uid-a 7']);
  });

  it('compare versions as numbers', () => {
    const store = new Store<TestObject>();
    store.replaceAll([object('a', 99)], '99');
    store.writeThrough(object('a', 100));
    expect(store.get('ns/a')?.metadata.resourceVersion).toBe('100');
  });

  it('survive a list that was taken before them, and not one that was taken after', () => {
    const store = new Store<TestObject>();
    store.replaceAll([], '5');
    store.writeThrough(object('a', 8));
    store.replaceAll([], '7');
    expect(store.has('ns/a')).toBe(true);
    store.replaceAll([], '8');
    expect(store.has('ns/a')).toBe(false);
  });

  it('do not bring back what was deleted before their reply came, even if it was never seen alive', () => {
    const store = new Store<TestObject>();
    store.replaceAll([], '5');
    store.applyWatch('DELETED', object('a', 9));
    store.writeThrough(object('a', 8));
    expect(store.size).toBe(0);
  });

  it('vanish when the watch passes them over: they are outside the selection', () => {
    const store = new Store<TestObject>();
    store.replaceAll([], '5');
    store.writeThrough(object('a', 8));
    store.advance('9');
    expect(store.size).toBe(0);
  });

  it('are ignored in namespaces that the store does not cover', () => {
    const store = new Store<TestObject>({ namespaces: ['other'] });
    store.writeThrough(object('a', 8));
    expect(store.size).toBe(0);
  });

  it('are slimmed like everything else', () => {
    const store = new Store<TestObject>({ transform: (whole) => ({ ...whole, spec: 'slim' }) });
    const reply = object('a', 8);
    store.writeThrough(reply);
    expect([store.get('ns/a')?.spec, reply.spec]).toEqual(['slim', undefined]);
  });

  it('of a DELETE may carry the version of the deletion: its event counts nevertheless', () => {
    const store = new Store<TestObject>();
    store.replaceAll([object('a', 1)], '5');
    store.writeThrough(object('a', 9, { deletionTimestamp: '2026-01-01T00:00:00Z' }));
    store.applyWatch('DELETED', object('a', 9));
    expect(store.size).toBe(0);
  });
});

describe('an object that a fresh read did not find', () => {
  it('is gone at once, and its deletion is told once', () => {
    const store = new Store<TestObject>();
    store.replaceAll([object('a', 5)], '5');
    const changes = recorded(store);
    store.removeGone(object('a', 5));
    store.applyWatch('DELETED', object('a', 7));
    expect(store.has('ns/a')).toBe(false);
    expect(changes).toEqual(['deleted uid-a 5']);
  });

  it('leaves another one under its name alone', () => {
    const store = new Store<TestObject>();
    store.replaceAll([object('a', 9, { uid: 'uid-b' })], '9');
    store.removeGone(object('a', 5));
    expect(store.has('ns/a')).toBe(true);
  });
});

describe('listeners', () => {
  it('hear of a successor with the same name as deleted, then added', () => {
    const store = new Store<TestObject>();
    store.replaceAll([object('a', 1)], '5');
    const changes = recorded(store);
    store.replaceAll([object('a', 7, { uid: 'second' })], '8');
    expect(changes).toEqual(['deleted uid-a 1', 'added second 7']);
  });

  it('that throw disturb neither the others nor the store', () => {
    const onListenerError = vi.fn();
    const store = new Store<TestObject>({ onListenerError });
    const failed = new Error('listener');
    store.subscribe(() => {
      throw failed;
    });
    const changes = recorded(store);
    store.writeThrough(object('a', 1));
    expect(onListenerError).toHaveBeenCalledWith(failed);
    expect(changes).toEqual(['added uid-a 1']);
  });

  it('hear changes in order, even when one of them makes another', () => {
    const store = new Store<TestObject>();
    store.subscribe(({ type }) => {
      if (type === 'added') store.writeThrough(object('a', 2));
    });
    const changes = recorded(store);
    store.writeThrough(object('a', 1));
    expect(changes).toEqual(['added uid-a 1', 'updated uid-a 2']);
  });

  it('hear nothing more when they have unsubscribed', () => {
    const store = new Store<TestObject>();
    const listener = vi.fn();
    store.subscribe(listener)();
    store.writeThrough(object('a', 1));
    expect(listener).not.toHaveBeenCalled();
  });
});

it('believes a server that was set back', () => {
  const store = new Store<TestObject>();
  store.replaceAll([object('a', 90), object('b', 91)], '95');
  store.replaceAll([object('a', 40)], '50', { rewound: true });
  expect(store.list().map(keyOf)).toEqual(['ns/a']);
  expect([store.get('ns/a')?.metadata.resourceVersion, store.completeUpTo()]).toEqual(['40', '50']);
  store.applyWatch('MODIFIED', object('a', 51));
  expect(store.get('ns/a')?.metadata.resourceVersion).toBe('51');
});

it('keeps what other namespaces hold when one is listed', () => {
  const store = new Store<TestObject>({ namespaces: ['ns', 'other'] });
  store.replaceAll([object('a', 1)], '5', { scope: 'ns' });
  store.replaceAll([object('a', 2, { namespace: 'other' })], '6', { scope: 'other' });
  store.replaceAll([], '7', { scope: 'ns' });
  expect(store.list().map(keyOf)).toEqual(['other/a']);
});

it('finds by index, follows changes of the value, and forgets empty values', () => {
  const store = new Store<TestObject>({ indexes: { spec: ({ spec }) => (spec === undefined ? [] : [spec]) } });
  store.writeThrough({ ...object('a', 1), spec: 'x' });
  store.writeThrough({ ...object('b', 2), spec: 'x' });
  store.writeThrough({ ...object('a', 5), spec: 'y' });
  expect(store.byIndex('spec', 'x').map(keyOf)).toEqual(['ns/b']);
  expect(store.countByIndex('spec', 'y')).toBe(1);
  store.applyWatch('DELETED', object('b', 4));
  expect(store.indexValues('spec')).toEqual(['y']);
  expect(() => store.byIndex('none', 'x')).toThrow(RangeError);
});

it('keeps an object that an index cannot read, and all others, in lists and in events', () => {
  const onListenerError = vi.fn();
  const bySpec = ({ spec }: TestObject): string[] => [(spec as unknown as { name: string }).name];
  const store = new Store<TestObject>({ indexes: { bySpec }, onListenerError });
  const good = { ...object('good', 2), spec: { name: 'x' } } as unknown as TestObject;
  store.replaceAll([object('bad', 1), good], '5');
  store.applyWatch('ADDED', object('worse', 6));
  expect(store.size).toBe(3);
  expect(store.byIndex('bySpec', 'x')).toEqual([good]);
  store.applyWatch('DELETED', object('bad', 7));
  expect(store.has('ns/bad')).toBe(false);
  expect(store.completeUpTo()).toBe('7');
  expect(onListenerError).toHaveBeenCalledWith(expect.any(TypeError));
});

it('makes keys', () => {
  expect(keyOf({ name: 'n' })).toBe('n');
  expect(keyOf(object('a', 1))).toBe('ns/a');
});
