import { describe, expect, it } from 'vitest';
import { CliError, type Command, type Tools } from './command.ts';
import { commands } from './commands.ts';
import { parseCommandLine, runCommand } from './run.ts';

function parse(...argv: string[]) {
  return parseCommandLine(commands, argv);
}

describe('a command line', () => {
  it('is a command with its arguments and options, in any order', () => {
    const wanted = {
      kind: 'run',
      args: ['echo'],
      output: 'json',
      options: { namespace: 'calls', data: '{"a": 1}' },
    };
    expect(parse('start', '-n', 'calls', 'echo', '--data', '{"a": 1}', '-o', 'json')).toMatchObject(wanted);
    expect(parse('-n', 'calls', 'start', 'echo', '--data', '{"a": 1}', '-o', 'json')).toMatchObject(wanted);
  });

  it('may have a command of two words', () => {
    expect(parse('keys', 'create', 'app', '--cli')).toMatchObject({
      kind: 'run',
      command: { name: 'keys create' },
      args: ['app'],
    });
  });

  it.each([
    ['nothing', [], 2],
    ['a wish for help', ['--help'], 0],
    ['a wish for help with a command', ['start', '--help'], 0],
    ['a command that there is not', ['strat'], 2],
    ['an option that there is not', ['start', 'echo', '--dta', '{}'], 2],
    ['too few arguments', ['start'], 2],
    ['too many arguments', ['agents', 'a'], 2],
    ['a way to print that there is not', ['agents', '-o', 'xml'], 2],
    ['a way to print that the command has not', ['keys', 'create', 'app', '-o', 'name'], 2],
    ['a way to print where there is none', ['logs', 'call', '-o', 'json'], 2],
  ])('with %s is answered by the help', (_, argv, exitCode) => {
    expect(parse(...argv)).toMatchObject({
      kind: 'help',
      exitCode,
      text: expect.stringContaining('usage: bullpen') as string,
    });
  });

  it.each([
    [['stop', ''], 'SESSION'],
    [['-n', '', 'stop', 'call'], '--namespace'],
    [['logs', '--session='], '--session'],
  ])('with an empty word, as of a variable that is not set, is told which: %j', (argv, what) => {
    expect(parse(...argv)).toMatchObject({
      kind: 'help',
      exitCode: 2,
      text: expect.stringMatching(new RegExp(`^${what} has no value\\.\n\nusage: bullpen `)) as string,
    });
  });

  it('says which ways to print a command has', () => {
    expect(parse('keys', 'create', 'app', '-o', 'wide')).toMatchObject({
      text: expect.stringMatching(
        /^--output of bullpen keys create must be json or yaml, not "wide"\.\n\nusage: [^]*-o, --output json\|yaml /,
      ) as string,
    });
    expect(parse('logs', '--help')).not.toMatchObject({ text: expect.stringContaining('--output') as string });
  });

  it('has a help for every command, in lines that fit', () => {
    for (const { name } of commands) {
      const parsed = parse(...name.split(' '), '--help');
      expect(parsed).toMatchObject({ kind: 'help', exitCode: 0 });
      if (parsed.kind === 'help') for (const line of parsed.text.split('\n')) expect(line.length).toBeLessThan(125);
    }
  });
});

describe('a command', () => {
  const failing = (error: Error): Command => ({
    name: 'fail',
    args: [],
    summary: '',
    options: {},
    outputs: [],
    run: () => Promise.reject(error),
  });

  it.each([
    [new CliError('which one?', 2), 2],
    [new Error('the cluster does not answer'), 1],
  ])('that fails says why in one line, and ends with its code', async (error, exitCode) => {
    const notes: string[] = [];
    const parsed = parseCommandLine([failing(error)], ['fail']);
    if (parsed.kind !== 'run') throw new Error('not understood');
    const connect = () => Promise.resolve({} as Tools);
    expect(await runCommand(parsed, connect, (line) => notes.push(line))).toBe(exitCode);
    expect(notes).toEqual([error.message]);
  });
});
