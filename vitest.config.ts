import { defineConfig } from 'vitest/config';

/**
 * Projects, by what they need: `unit` nothing; `integration` and `faults` a real control plane, on which nodes are played; `e2e` a
 * real node.
 *
 * A run starts one cluster (its global setup), which its files share; each keeps to namespaces of its own. Fault tests
 * take the cluster's parts away, so they run one file after the other.
 *
 * The time limits are for what hangs. Tests of a file that run side by side share the machine, and take a minute each on one with two
 * cores that does nothing else; waits within a test have limits of their own, which say what was waited for.
 */
const onCluster = { testTimeout: 400_000, hookTimeout: 900_000, pool: 'forks' as const, maxConcurrency: 16 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/{unit,cluster,model,bench}/**/*.test.ts'],
          exclude: ['**/*.e2e.test.ts'],
          testTimeout: 60_000,
          // What a test waits for may have to go over a socket, on a machine that is busy.
          expect: { poll: { timeout: 20_000 } },
        },
      },
      {
        test: {
          ...onCluster,
          name: 'integration',
          // These mostly wait: also on a machine with two cores two files may run at once.
          maxWorkers: 2,
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/build.ts', 'test/cluster/setup-control-plane.ts'],
        },
      },
      {
        test: {
          ...onCluster,
          name: 'e2e',
          // Each test starts pods, which a small machine must make within their time limits.
          maxConcurrency: 5,
          include: ['test/e2e/**/*.test.ts', 'test/cluster/**/*.e2e.test.ts'],
          globalSetup: ['test/support/build.ts', 'test/cluster/setup-node.ts'],
          fileParallelism: false,
        },
      },
      {
        test: {
          ...onCluster,
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: ['test/support/build.ts', 'test/cluster/setup-control-plane.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
});
