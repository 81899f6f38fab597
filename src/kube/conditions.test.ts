import { expect, it } from 'vitest';
import { findCondition, isTrue, setCondition, type ConditionUpdate } from './conditions.ts';

const noon = Date.parse('2026-01-01T12:00:00.900Z');
const ready: ConditionUpdate = { type: 'Ready', status: 'True', reason: 'Done', message: '', observedGeneration: 1 };

it('adds a condition with the time in whole seconds', () => {
  expect(setCondition([], ready, noon)).toEqual([{ ...ready, lastTransitionTime: '2026-01-01T12:00:00Z' }]);
});

it('changes the time only with the status, and keeps the order', () => {
  const other = { ...ready, type: 'Other' };
  const list = setCondition(setCondition([], ready, noon), other, noon);
  const reworded = setCondition(list, { ...ready, reason: 'Still', observedGeneration: 2 }, noon + 5000);
  expect(reworded[0]).toEqual({
    ...ready,
    reason: 'Still',
    observedGeneration: 2,
    lastTransitionTime: '2026-01-01T12:00:00Z',
  });
  const failed = setCondition(reworded, { ...ready, status: 'False' }, noon + 5000);
  expect(failed.map(({ type, lastTransitionTime }) => [type, lastTransitionTime])).toEqual([
    ['Ready', '2026-01-01T12:00:05Z'],
    ['Other', '2026-01-01T12:00:00Z'],
  ]);
});

it('returns the very same list when nothing changes', () => {
  const list = setCondition([], ready, noon);
  expect(setCondition(list, { ...ready }, noon + 5000)).toBe(list);
});

it('finds conditions', () => {
  const list = setCondition([], ready, noon);
  expect(findCondition(list, 'Ready')?.reason).toBe('Done');
  expect([isTrue(list, 'Ready'), isTrue(list, 'Other'), isTrue(undefined, 'Ready')]).toEqual([true, false, false]);
});
