import { describe, it } from 'vitest';
import { holdsIn, timeout } from './tell.ts';

/** The loops of the controller against a model of Kubernetes, in stories that fast-check makes up and shortens. */
describe('I1-I3, I5-I7, I10, I11 and usage hold, at every commit and in the end', { timeout }, () => {
  it('while people make, stop and delete Sessions and change Agents', () => holdsIn('people'));
  it('while bursts meet a full Agent, creations get lost and leaders change', () => holdsIn('cap'));
  it('while requests fail or come late, and watches are stale, broken, silent or expired', () => holdsIn('network'));
  it('while leaders are killed, cut off, paused and replaced with requests under way', () => holdsIn('leaders'));
  it('while pods and nodes fail in every way', () => holdsIn('nodes'));
  it('while all of this happens at once', () => holdsIn('everything'));
});

describe('where the API server does not keep its promises', { timeout }, () => {
  it('I2: a creation that comes too late collides with the next one, and makes no second pod', () =>
    holdsIn('tooLate'));
});
