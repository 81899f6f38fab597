import { describe, expect, it } from 'vitest';
import { indexEntries, indexRemoval, readIndex, type SecretSet } from './set-index.ts';

const set: SecretSet = { name: 'my.set', type: 'secret', source: 'own', keys: ['A', 'B_c-1'] };

describe('the index of sets', () => {
  it('is read as it was written', () => {
    const other: SecretSet = { name: 'my', type: 'imagePullSecret', source: 'own', keys: [] };
    expect(readIndex({ ...indexEntries(set), ...indexEntries(other) })).toEqual([other, set]);
  });

  it('has names that a ConfigMap takes', () => {
    for (const name of Object.keys(indexEntries(set))) expect(name).toMatch(/^[-._a-zA-Z0-9]{1,253}$/);
  });

  it('loses a key, or all of a set and nothing of others', () => {
    expect(Object.keys(indexRemoval(set, 'A'))).toEqual(['my.set..A']);
    expect(Object.keys(indexRemoval(set)).sort()).toEqual(Object.keys(indexEntries(set)).sort());
  });

  it('leaves out what is no set', () => {
    expect(readIndex({ a: 'nonsense', 'b..KEY': '', c: '{"type":"other"}' })).toEqual([]);
  });
});
