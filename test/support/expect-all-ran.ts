import { expect } from 'vitest';
import type { Scene } from './stage.ts';

/** These Sessions, and no others, ran once each and to their end, and every promise was kept at every revision. */
export async function expectAllRan(scene: Scene, names: string[]): Promise<void> {
  await scene.settled(names);
  const { violations, podsCreated, sessions } = await scene.replay();
  expect(violations).toEqual([]);
  expect(podsCreated).toBe(names.length);
  expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
}
