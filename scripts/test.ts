import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecks } from './check.ts';
import { runStep, type StepResult } from './steps.ts';
import { tallyOf, tallyOfOutput, type Tally, type VitestReport } from './test-report.ts';

/**
 * `npm test`: all checks, then the tests on a real control plane, then those on a real node. Ends with what failed, and the line
 * `N passed, N failed`, in which every test counts, and every check that is no test.
 */
const PROJECTS = ['integration', 'e2e', 'faults'] as const;

async function main(): Promise<number> {
  const since = performance.now();
  const reports = await mkdtemp(join(tmpdir(), 'bullpen-test-'));
  const tallies: Tally[] = [];
  try {
    tallies.push(...(await runChecks()).map(tallyOfCheck));
    for (const project of PROJECTS) tallies.push(await run(project, join(reports, `${project}.json`)));
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
  const failures = tallies.flatMap((tally) => tally.failures);
  if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
  const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
  console.log(`\n${((performance.now() - since) / 60_000).toFixed(1)} minutes`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

/** A check counts as one, but for the unit tests. */
function tallyOfCheck({ step, ok, output }: StepResult): Tally {
  if (step.name === 'unit tests') return withFailure(tallyOfOutput(output), step.name, ok);
  return { passed: ok ? 1 : 0, failures: ok ? [] : [step.name] };
}

async function run(project: string, outputFile: string): Promise<Tally> {
  console.log(`\n${project} tests`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${outputFile}`];
  const { ok } = await runStep(
    { name: project, command: ['vitest', 'run', '--project', project, ...reporters] },
    { live: true },
  );
  return withFailure(tallyOf(await readReport(outputFile), process.cwd()), `${project} tests`, ok);
}

/** What did not succeed has failed, also where no test says so: it may have died before it could report. */
function withFailure(tally: Tally, name: string, ok: boolean): Tally {
  return ok || tally.failures.length > 0 ? tally : { ...tally, failures: [name] };
}

async function readReport(file: string): Promise<VitestReport> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as VitestReport;
  } catch {
    return { testResults: [] };
  }
}

process.exitCode = await main();
