import type { Bed, BedOptions, NodeKind } from '../bed.ts';

export interface ScenarioContext extends BedOptions {
  /** Short legs, to see that it works: the figures mean little. */
  quick: boolean;
  /** How often each measurement is made. */
  repeat: number;
  /** Only loads with this in their name, where a scenario has several. */
  load: string;
}

/** One part of the bench, on a control plane of its own. */
export interface Scenario {
  /** What it measures, for `--help`. */
  title: string;
  /** What its pods run on; default fake nodes. */
  nodes?: NodeKind;
  /** Measures, and returns a section of Markdown. */
  run(bed: Bed, context: ScenarioContext): Promise<string>;
}
