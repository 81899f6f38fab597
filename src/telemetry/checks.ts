/** One thing that must be so for a program to be live, or ready. */
export interface Check {
  /** Short, for people: `caches`. */
  readonly name: string;
  /** What is wrong, in a few words that may be shown to anybody in the cluster; undefined when all is well. */
  readonly problem: () => string | undefined;
}

export interface CheckReport {
  readonly ok: boolean;
  /** One line per check, in the form that the Kubernetes components use: `[+]caches ok`. */
  readonly text: string;
}

/** Runs all checks. A check that throws counts as a problem: a probe must get an answer. */
export function runChecks(checks: readonly Check[]): CheckReport {
  const results = checks.map(({ name, problem }) => ({ name, problem: outcome(problem) }));
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name}: ${problem}`,
  );
  const ok = results.every(({ problem }) => problem === undefined);
  return { ok, text: [...lines, ok ? 'ok' : 'not ok'].join('\n') + '\n' };
}

function outcome(problem: Check['problem']): string | undefined {
  try {
    return problem();
  } catch (error) {
    return error instanceof Error ? error.message : 'failed';
  }
}
