import { describe, expect, it } from 'vitest';
import { problemOfNode } from './node-version.ts';

describe('the Node that runs bullpen', () => {
  it.each(['20.20.2', '22.18.0'])('%s is too old, and whoever has it is told which will do', (version) => {
    expect(problemOfNode(version)).toBe(`bullpen needs Node.js 22.19 or later, and this is ${version}.`);
  });

  it.each(['22.19.0', '22.20.1', '24.0.0', '100.0.0'])('%s will do', (version) => {
    expect(problemOfNode(version)).toBeUndefined();
  });
});
