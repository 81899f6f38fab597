import { defineConfig } from 'vitest/config';

/**
 * Projects by what they need: `unit` nothing; `integration` a real control plane; `e2e` and `faults` a real cluster with a node.
 * The cluster is started once per run by the project's global setup and shared by its files, which keep to namespaces of their own.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'test/unit/**/*.test.ts',
            'test/cluster/**/*.test.ts',
            'test/model/**/*.test.ts',
          ],
          testTimeout: 60_000,
        },
      },
    ],
  },
});
