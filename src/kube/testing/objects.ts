import type { KubeObject, ObjectMeta } from '../objects.ts';

/** A small object for tests of the kit. */
export interface TestObject extends KubeObject {
  spec?: string;
}

/** An object of this name and version; its uid is made from its name unless given. */
export function testObject(name: string, resourceVersion: string | number, more: Partial<ObjectMeta> = {}): TestObject {
  return {
    apiVersion: 'v1',
    kind: 'Test',
    metadata: {
      name,
      namespace: 'ns',
      uid: `uid-${name}`,
      resourceVersion: String(resourceVersion),
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...more,
    },
  };
}
