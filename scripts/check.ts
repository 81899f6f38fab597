import { runStep, type Step, type StepResult } from './steps.ts';

/** What `npm run check` runs: everything that needs no cluster. */
export const CHECKS: readonly Step[] = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  // Without its cache: typed rules look into other files, of whose changes the cache knows nothing.
  { name: 'lint', command: ['eslint', '.'] },
  { name: 'unit tests', command: ['vitest', 'run', '--project', 'unit', '--reporter=dot'] },
  { name: 'format', command: ['prettier', '--check', '--log-level=warn', '--cache', '.'] },
  { name: 'dead code', command: ['knip', '--no-progress'] },
  { name: 'import rules', command: ['depcruise', '--output-type', 'err', 'src', 'test', 'scripts', 'demo'] },
];

/** Runs all checks, two at a time, and prints the output of those that fail. */
export async function runChecks(): Promise<StepResult[]> {
  const results: StepResult[] = [];
  const queue = CHECKS.values();
  const worker = async (): Promise<void> => {
    for (const step of queue) {
      const result = await runStep(step);
      results.push(result);
      console.log(`${result.ok ? 'ok  ' : 'FAIL'} ${step.name} (${result.seconds.toFixed(1)} s)`);
      if (!result.ok) console.log(result.output);
    }
  };
  await Promise.all([worker(), worker()]);
  return results;
}

if (import.meta.main) {
  const results = await runChecks();
  process.exitCode = results.every((result) => result.ok) ? 0 : 1;
}
