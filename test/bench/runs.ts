import { ms } from './markdown.ts';
import type { Leg } from './leg.ts';
import { median } from './statistics.ts';

/** The legs of one load: as many as it was repeated. */
export interface Runs<L = Leg> {
  /** What it is, for a table. */
  name: string;
  legs: readonly L[];
}

/** The middle of the runs, and in brackets the least and the greatest where there are several. */
export function spread<L>({ legs }: Runs<L>, of: (leg: L) => number, format: (value: number) => string = ms): string {
  const values = legs.map(of);
  const middle = format(median(values));
  return values.length < 2 || values.some(Number.isNaN)
    ? middle
    : `${middle} (${format(Math.min(...values))}–${format(Math.max(...values))})`;
}

export const SPREAD = 'Median of the runs, and in brackets the least and the greatest where there were several.';

/** How many Sessions there were in all runs. */
export function sessionsOf({ legs }: Runs): number {
  return legs.reduce((sum, leg) => sum + leg.options.count, 0);
}
