import { expect, it } from 'vitest';
import { compareVersions } from './resource-version.ts';

it.each([
  ['9', '10', -1],
  ['10', '10', 0],
  ['99999999999999999999', '100000000000000000000', -1],
  ['123456789012345678902', '123456789012345678901', 1],
])('%s against %s', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});
