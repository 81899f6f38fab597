import { describe, expect, it } from 'vitest';
import type { ControllerRevision } from '../kube/objects.ts';
import { podPartIn } from './revision-record.ts';

describe('the record of a revision', () => {
  it('is of use only with a spec in it', () => {
    const holding = (data: unknown): ControllerRevision => ({
      metadata: { name: 'r', uid: 'u', resourceVersion: '1', creationTimestamp: '2030-01-01T00:00:00Z' },
      revision: 1,
      data,
    });
    expect(podPartIn(holding({ spec: { image: 'i' } }))).toEqual({ image: 'i' });
    for (const data of [undefined, null, 'text', {}, { spec: null }, { spec: 'text' }])
      expect(podPartIn(holding(data))).toBeUndefined();
  });
});
