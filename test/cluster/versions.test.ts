import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isAtLeast, parseVersion, requiredVersion } from './versions.ts';

test('finds the version of a module in a go.mod, on a line of its own or in a block', () => {
  const goMod = `module x

require example.com/one v1.2.3

require (
	example.com/two v0.4.0 // indirect
	example.com/three/v3 v3.0.0-rc.1
)

replace example.com/two => example.com/two v0.5.0
`;
  expect(requiredVersion(goMod, 'example.com/one')).toBe('v1.2.3');
  expect(requiredVersion(goMod, 'example.com/two')).toBe('v0.4.0');
  expect(requiredVersion(goMod, 'example.com/three/v3')).toBe('v3.0.0-rc.1');
  expect(() => requiredVersion(goMod, 'example.com/three')).toThrow('go.mod requires no example.com/three');
});

test.each([
  ['kubernetes', 'k8s.io/kubernetes'],
  ['etcd', 'go.etcd.io/etcd/server/v3'],
  ['helm', 'helm.sh/helm/v4'],
])('the module of %s pins its version', async (folder, module) => {
  const goMod = await readFile(join(import.meta.dirname, 'binaries', folder, 'go.mod'), 'utf8');
  expect(requiredVersion(goMod, module)).toMatch(/^v\d+\.\d+\.\d+$/);
});

test('reads the numbers of versions as Go, Kubernetes and etcd write them', () => {
  expect(parseVersion('go1.24')).toEqual([1, 24, 0]);
  expect(parseVersion('v1.34.4\n')).toEqual([1, 34, 4]);
  expect(parseVersion('1.26rc1')).toEqual([1, 26, 0]);
  expect(parseVersion('devel')).toBeUndefined();
});

test('compares versions by number, not by letter', () => {
  expect(isAtLeast('go1.100.0', 1, 24)).toBe(true);
  expect(isAtLeast('go2.0', 1, 24)).toBe(true);
  expect(isAtLeast('go1.24.0', 1, 24)).toBe(true);
  expect(isAtLeast('go1.9', 1, 24)).toBe(false);
  expect(isAtLeast('', 1, 24)).toBe(false);
});
