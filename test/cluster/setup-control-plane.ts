import type { TestProject } from 'vitest/node';
import { setUpCluster } from './global-setup.ts';

/** Global setup of projects that need a real apiserver and no node. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setUpCluster(project, 'control-plane');
}
