import type { TestProject } from 'vitest/node';
import { setUpCluster } from './global-setup.ts';

/** Global setup of projects that need a real node. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setUpCluster(project, 'node');
}
