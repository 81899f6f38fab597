import { describe, expect, it } from 'vitest';
import { tallyOf, tallyOfOutput } from './test-report.ts';

const test = (fullName: string, status: string, ...failureMessages: string[]) => ({
  fullName,
  status,
  failureMessages,
});

describe('what came out of tests', () => {
  it('is read from the report: failures by name, with the first line of why', () => {
    const testResults = [
      {
        name: '/repo/test/a.test.ts',
        status: 'failed',
        message: '',
        assertionResults: [
          test('adds', 'passed'),
          test('takes away', 'failed', 'Error: expected 1\n    at line 3'),
          test('later', 'skipped'),
        ],
      },
      { name: '/repo/test/b.test.ts', status: 'failed', message: 'SyntaxError: no\nmore', assertionResults: [] },
      { name: '/repo/test/c.test.ts', status: 'passed', message: '', assertionResults: [test('adds', 'passed')] },
    ];
    expect(tallyOf({ testResults }, '/repo')).toEqual({
      passed: 2,
      failures: ['test/a.test.ts > takes away: Error: expected 1', 'test/b.test.ts: SyntaxError: no'],
    });
  });

  it('is read from the output', () => {
    const output = [
      ' \u001B[41m FAIL \u001B[49m |unit| src/a.test.ts > adds > one',
      ' \u001B[41m FAIL \u001B[49m |unit| src/a.test.ts > adds > two',
      '\u001B[31mError: Test timed out in 60000ms.\u001B[39m',
      '',
      '\u001B[2m Test Files \u001B[22m 1 failed | 2 passed (3)',
      '\u001B[2m      Tests \u001B[22m \u001B[31m2 failed\u001B[39m | \u001B[32m12 passed\u001B[39m (13)',
    ].join('\n');
    expect(tallyOfOutput(output)).toEqual({
      passed: 12,
      failures: ['one', 'two'].map(
        (name) => `|unit| src/a.test.ts > adds > ${name}: Error: Test timed out in 60000ms.`,
      ),
    });
    expect(tallyOfOutput('nothing')).toEqual({ passed: 0, failures: [] });
  });
});
