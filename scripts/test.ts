import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { runChecks } from './check.ts';
import { runStep } from './steps.ts';

/**
 * `npm test`: all checks, then the tests on a real control plane, then those on a real node. Ends with the line
 * `N passed, N failed`, in which every test counts, and every check that is no test.
 */
const PROJECTS = ['integration', 'e2e', 'faults'] as const;

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numFailedTestSuites: number;
}

async function main(): Promise<number> {
  const since = performance.now();
  const reports = await mkdtemp(join(tmpdir(), 'bullpen-test-'));
  let passed = 0;
  let failed = 0;
  const add = (ok: number, bad: number): void => {
    passed += ok;
    failed += bad;
  };
  try {
    for (const result of await runChecks()) {
      const unit = result.step.name === 'unit tests' ? countDots(result.output) : undefined;
      add(unit?.passed ?? (result.ok ? 1 : 0), unit?.failed ?? (result.ok ? 0 : 1));
      if (unit !== undefined && !result.ok && unit.failed === 0) add(0, 1);
    }
    for (const project of PROJECTS) {
      console.log(`\n${project} tests`);
      const outputFile = join(reports, `${project}.json`);
      const command = [
        'vitest',
        'run',
        '--project',
        project,
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${outputFile}`,
      ];
      const { ok } = await runStep({ name: project, command }, { live: true });
      const report = await readReport(outputFile);
      add(report.numPassedTests, report.numFailedTests);
      // A file that cannot be loaded, or a setup that fails, has no failed test of its own.
      if (!ok && report.numFailedTests === 0) add(0, Math.max(1, report.numFailedTestSuites));
    }
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
  console.log(`\n${((performance.now() - since) / 60_000).toFixed(1)} minutes`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function readReport(file: string): Promise<VitestReport> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as VitestReport;
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numFailedTestSuites: 1 }; // It died before it could report: that is a failure.
  }
}

/** The counts in the closing lines of a vitest run. */
function countDots(output: string): { passed: number; failed: number } {
  const line = /Tests\s+(.*)/.exec(stripVTControlCharacters(output))?.[1] ?? '';
  const count = (word: string): number => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: count('passed'), failed: count('failed') };
}

process.exitCode = await main();
