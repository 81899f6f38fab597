import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/** What came out of one part of `npm test`. */
export interface Tally {
  passed: number;
  /** One for each failure, in a few words: what failed, and the first line of why. */
  failures: string[];
}

/** The JSON report of vitest, as far as it is read here. */
export interface VitestReport {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

/** @param root the folder that the names of files are relative to */
export function tallyOf({ testResults }: VitestReport, root: string): Tally {
  const tally: Tally = { passed: 0, failures: [] };
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative(root, name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    tally.passed += assertionResults.filter((test) => test.status === 'passed').length;
    tally.failures.push(
      ...failed.map(({ fullName, failureMessages: [why = ''] }) => line(`${file} > ${fullName}`, why)),
    );
    // A file that cannot be loaded, or a setup that fails, has no failed test of its own.
    if (status === 'failed' && failed.length === 0) tally.failures.push(line(file, message));
  }
  return tally;
}

/** The same of what vitest prints at the end, where there is no other report. */
export function tallyOfOutput(output: string): Tally {
  const text = stripVTControlCharacters(output);
  const summary = /^ *Tests +(.*)$/m.exec(text)?.[1] ?? '';
  const tally: Tally = { passed: Number(/(\d+) passed/.exec(summary)?.[1] ?? 0), failures: [] };
  // Tests that fail alike stand one under the other, above their one reason.
  let names: string[] = [];
  for (const each of text.split('\n')) {
    const name = /^ *FAIL +(.*)$/.exec(each)?.[1];
    if (name !== undefined) names.push(name);
    else {
      tally.failures.push(...names.map((failed) => line(failed, each)));
      names = [];
    }
  }
  return tally;
}

function line(what: string, why: string): string {
  const [first = ''] = stripVTControlCharacters(why).trim().split('\n');
  return first === '' ? what : `${what}: ${first.slice(0, 300)}`;
}
