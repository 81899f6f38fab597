import { describe, it } from 'vitest';
import { checkCuts, checkTurns, checkWrites } from './calm.ts';
import { holdsIn, timeout } from './tell.ts';

describe('where nothing goes wrong and nothing is slow', { timeout }, () => {
  it('I10: a session costs six writes', () => holdsIn('calm', checkWrites));
  it('I6: a session is cut neither before its limit nor two seconds after it', () => holdsIn('calm', checkCuts));
  it('I1: whoever came first is served first', () => holdsIn('calm', checkTurns));
});
