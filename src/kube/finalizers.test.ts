import { expect, it } from 'vitest';
import { hasFinalizer, removeFinalizerPatch } from './finalizers.ts';
import { testObject } from './testing/objects.ts';

const object = testObject('a', 1, { finalizers: ['other', 'ours'] });

it('removes one entry, and only if the object and the entry are the ones that were seen', () => {
  expect(removeFinalizerPatch(object, 'ours')).toEqual([
    { op: 'test', path: '/metadata/uid', value: 'uid-a' },
    { op: 'test', path: '/metadata/finalizers/1', value: 'ours' },
    { op: 'remove', path: '/metadata/finalizers/1' },
  ]);
});

it('has nothing to do when the finalizer is not there', () => {
  expect(removeFinalizerPatch(object, 'absent')).toEqual([]);
  expect(removeFinalizerPatch(testObject('b', 1), 'ours')).toEqual([]);
});

it('knows whether a finalizer is there', () => {
  expect([hasFinalizer(object, 'ours'), hasFinalizer(testObject('b', 1), 'ours')]).toEqual([true, false]);
});
