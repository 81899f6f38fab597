import { describe, it } from 'vitest';
import { holdsIn, timeout } from './tell.ts';

/** The same loops with agents of protocol Http: whatever happens, an agent is told of a Session once at most. */
describe(
  'W1, W2, W4-W6 and all of the others hold with pods that wait, at every commit and in the end',
  { timeout },
  () => {
    it('while people use and change Agents', () => holdsIn('pool'));
    it('while claims and calls get lost or come late', () => holdsIn('poolNetwork'));
    it('while leaders change at every moment of a start', () => holdsIn('poolLeaders'));
    it('while pods and nodes fail in every way', () => holdsIn('poolNodes'));
    it('while all of this happens at once', () => holdsIn('poolEverything'));
  },
);
