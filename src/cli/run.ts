import { parseArgs } from 'node:util';
import { explain } from './explain.ts';
import { CliError, type Command, type OptionDefinition, type Output, type Tools } from './command.ts';

type Definitions = Readonly<Record<string, OptionDefinition>>;

/** Options that every command has. */
const common: Definitions = {
  namespace: { type: 'string', short: 'n', value: 'NAMESPACE', help: "instead of that of the kubeconfig's context" },
  kubeconfig: { type: 'string', value: 'PATH', help: 'instead of $KUBECONFIG or ~/.kube/config' },
  context: { type: 'string', value: 'NAME', help: 'of the kubeconfig' },
  help: { type: 'boolean', short: 'h', help: 'say what the command does' },
};

/** What was asked for, before anything is connected to. */
export type Parsed =
  | { kind: 'help'; text: string; exitCode: number }
  | {
      kind: 'run';
      command: Command;
      args: string[];
      options: Record<string, string | boolean | undefined>;
      output: Output;
    };

/** Reads a command line. Never throws: what is wrong with it is the text of the help. */
export function parseCommandLine(commands: readonly Command[], argv: readonly string[]): Parsed {
  const words = wordsOf(commands, argv);
  const command = commands.find(({ name }) => isPrefix(name.split(' '), words));
  if (command === undefined) {
    const isAsked =
      words.length === 0 && (argv.length === 0 || argv.some((word) => word === '-h' || word === '--help'));
    const unknown = words.length > 0 ? `There is no command "${words.slice(0, 2).join(' ')}".\n\n` : '';
    return { kind: 'help', text: `${unknown}${overview(commands)}`, exitCode: isAsked && argv.length > 0 ? 0 : 2 };
  }
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      options: optionsOf(command),
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    // What Node.js goes on to say is of no use to who has mistyped an option.
    const [wrong = ''] = (error as Error).message.split('. ');
    return { kind: 'help', text: `${wrong}.\n\n${usage(command)}`, exitCode: 2 };
  }
  const options = parsed.values as Record<string, string | boolean | undefined>;
  if (options['help'] === true) return { kind: 'help', text: usage(command), exitCode: 0 };
  const empty = Object.entries(options).find(([, value]) => value === '')?.[0];
  if (empty !== undefined) return { kind: 'help', text: `--${empty} has no value.\n\n${usage(command)}`, exitCode: 2 };
  const args = parsed.positionals.slice(command.name.split(' ').length);
  const least = command.args.filter((arg) => !arg.endsWith('?')).length;
  if (args.length < least || args.length > command.args.length)
    return { kind: 'help', text: usage(command), exitCode: 2 };
  // A variable of the shell that is not set, most of the time.
  const nameless = args.indexOf('');
  if (nameless >= 0) {
    const what = (command.args[nameless] ?? '').replace('?', '');
    return { kind: 'help', text: `${what} has no value.\n\n${usage(command)}`, exitCode: 2 };
  }
  const output = options['output'] ?? '';
  if (output !== '' && !(command.outputs as readonly unknown[]).includes(output)) {
    const wrong = `--output of bullpen ${command.name} must be ${anyOf(command.outputs)}, not "${String(output)}".`;
    return { kind: 'help', text: `${wrong}\n\n${usage(command)}`, exitCode: 2 };
  }
  return { kind: 'run', command, args, options, output: output as Output };
}

/** Runs what was asked for; returns the exit code. */
export async function runCommand(
  parsed: Extract<Parsed, { kind: 'run' }>,
  connect: (options: Parsed & { kind: 'run' }) => Promise<Tools>,
  note: (line: string) => void,
): Promise<number> {
  try {
    const tools = await connect(parsed);
    await parsed.command.run(tools, parsed.args, parsed.options);
    return 0;
  } catch (error) {
    note(explain(error));
    return error instanceof CliError ? error.exitCode : 1;
  }
}

function optionsOf({ options, outputs }: Pick<Command, 'options' | 'outputs'>): Definitions {
  const value = outputs.join('|');
  const output: OptionDefinition = { type: 'string', short: 'o', value, help: 'how to print' };
  return { ...options, ...common, ...(outputs.length > 0 && { output }) };
}

/** `json, yaml or name`. */
function anyOf(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].join(' or ');
}

/** What is neither an option nor the value of one, whichever command it is for. */
function wordsOf(commands: readonly Command[], argv: readonly string[]): string[] {
  const options = Object.assign({}, ...commands.map(optionsOf)) as Definitions;
  return parseArgs({ args: [...argv], options, allowPositionals: true, strict: false }).positionals;
}

function isPrefix(name: readonly string[], words: readonly string[]): boolean {
  return name.every((word, index) => words[index] === word);
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => call(command).length));
  const lines = commands.map((command) => `  ${call(command).padEnd(width)}  ${command.summary}`);
  return `usage: bullpen COMMAND [options]\n\n${lines.join('\n')}\n\nbullpen COMMAND --help says more. It talks to Kubernetes with your kubeconfig, as kubectl does.`;
}

function call({ name, args }: Command): string {
  return [name, ...args.map((arg) => (arg.endsWith('?') ? `[${arg.slice(0, -1)}]` : arg))].join(' ');
}

function usage(command: Command): string {
  const all = Object.entries(optionsOf(command));
  const left = all.map(
    ([long, { short, value }]) =>
      `${short === undefined ? '    ' : `-${short}, `}--${long}${value === undefined ? '' : ` ${value}`}`,
  );
  const width = Math.max(...left.map((text) => text.length));
  const lines = all.map(([, { help }], index) => `  ${(left[index] ?? '').padEnd(width)}  ${help}`);
  return `usage: bullpen ${call(command)} [options]\n\n${command.summary}.\n\n${lines.join('\n')}`;
}
