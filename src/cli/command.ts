import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../kube/clock.ts';

/** What `-o` takes, as kubectl does it. */
export type Format = 'json' | 'yaml' | 'wide' | 'name';

/** How results are printed: without `-o`, for people. */
export type Output = '' | Format;

/** Formats of commands that list. */
export const ofLists: readonly Format[] = ['json', 'yaml', 'wide', 'name'];

/** Formats of commands that make or change one object. */
export const ofObjects: readonly Format[] = ['json', 'yaml', 'name'];

/** Formats of what is no object of Kubernetes, or not only that. */
export const ofValues: readonly Format[] = ['json', 'yaml'];

/** What commands do their work with. */
export interface Tools {
  api: KubeClient;
  /** The namespace that is meant: of `-n`, else of the kubeconfig's context. */
  namespace: string;
  output: Output;
  clock: Clock;
  /** Writes a line to standard output; resolves when its reader has room for more. */
  print: (line: string) => Promise<void>;
  /** Writes a line to standard error: what people read and programs do not. */
  note: (line: string) => void;
  /** What Ctrl-C aborts, as soon as this was called; before, it ends the process on the spot. */
  interrupted: () => AbortSignal;
  readFile: (path: string) => Promise<string>;
}

/** Values of options, by their long names. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

export interface OptionDefinition {
  type: 'string' | 'boolean';
  short?: string;
  /** What its value is called in the help. */
  value?: string;
  help: string;
}

/** One command of `bullpen`. */
export interface Command {
  /** The words that call it: `keys create`. */
  name: string;
  /** Names of what comes after them; the last one with `?` may be left out. */
  args: readonly string[];
  summary: string;
  options: Readonly<Record<string, OptionDefinition>>;
  /** What `-o` takes here; with none there is no such option. */
  outputs: readonly Format[];
  run(tools: Tools, args: readonly string[], options: Options): Promise<void>;
}

/** A mistake of who called, or something that they have to know: printed without a stack, exit code 1. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}
