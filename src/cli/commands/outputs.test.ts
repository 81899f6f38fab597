import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { ScriptedRequest } from '../../kube/testing/scripted-server.ts';
import { commands } from '../commands.ts';
import type { Format } from '../command.ts';
import { CliBed, type Ran } from '../testing/cli-bed.ts';
import { callSession } from '../testing/objects.ts';

let bed: CliBed;
beforeEach(async () => {
  bed = new CliBed();
  await bed.open();
});
afterEach(() => bed.close());

/** Runs a command whose requests are answered in this order. */
async function run(argv: string[], ...answers: ((request: ScriptedRequest) => void)[]): Promise<Ran> {
  const ran = bed.run(...argv);
  for (const answer of answers) answer(await bed.server.next());
  return await ran;
}

const answer = (body: object) => (request: ScriptedRequest) => request.json(200, body);
const echo = (request: ScriptedRequest) => request.json(201, JSON.parse(request.body));
const list =
  (...items: object[]) =>
  (request: ScriptedRequest) =>
    request.list('5', items);

describe('bullpen keys create', () => {
  it.each(['json', 'yaml'])('has the key in what it prints as %s', async (format) => {
    const { code, stdout, stderr } = await run(['keys', 'create', 'app', '--type', 'private', '-o', format], echo);
    expect({ code, made: (format === 'json' ? JSON.parse(stdout) : parse(stdout)) as unknown }).toEqual({
      code: 0,
      made: {
        name: expect.any(String) as string,
        namespace: 'calls',
        type: 'Private',
        key: expect.stringMatching(/^sk_/) as string,
      },
    });
    expect(stderr).toContain('cannot be shown again');
  });

  it('makes no key where it is told of two types', async () => {
    const { code, stderr } = await run(['keys', 'create', 'app', '--cli', '--type', 'public']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'Give one of --cli and --type.' });
    expect(bed.server.untaken).toEqual([]);
  });

  it.each(['name', 'wide'])('makes no key that -o %s would lose', async (format) => {
    const { code, stderr } = await run(['keys', 'create', 'app', '--cli', '-o', format]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^--output of bullpen keys create must be json or yaml/);
    expect(bed.server.untaken).toEqual([]);
  });
});

describe('a command that changes an object', () => {
  const session = callSession();
  const key = { metadata: { name: 'key' }, spec: { type: 'Public', revoked: true } };
  const team = { metadata: { name: 'team' } };
  it.each([
    ['stop', ['stop', 'call'], [answer(session), answer(session)], 'session.bullpen.dev/call', 'Session'],
    ['keys revoke', ['keys', 'revoke', 'key'], [answer(key)], 'apikey.bullpen.dev/key', 'ApiKey'],
    ['org create', ['org', 'create', 'team'], [list(), answer(team)], 'namespace/team', 'Namespace'],
  ])('prints it, as kubectl does: %s', async (_, argv, answers, name, kind) => {
    const named = await run([...argv, '-o', 'name'], ...answers);
    expect(named).toMatchObject({ code: 0, stdout: name });
    bed.lines.length = 0;
    const { stdout } = await run([...argv, '-o', 'json'], ...answers);
    expect(JSON.parse(stdout)).toMatchObject({ kind, metadata: { name: name.split('/')[1] } });
    bed.lines.length = 0;
    expect(parse((await run([...argv, '-o', 'yaml'], ...answers)).stdout)).toEqual(JSON.parse(stdout));
  });
});

describe('bullpen status', () => {
  const ready = { type: 'Ready', status: 'False', reason: 'TemplateNotAllowed', message: 'hostNetwork' };
  const ill = { metadata: { name: 'ill' }, spec: {}, status: { conditions: [ready] } };

  it('prints for programs what it has looked at, and ends as it does for people', async () => {
    const all = await run(['status', '-o', 'json'], list(ill));
    expect(all).toMatchObject({ code: 1, stderr: '1 of 1 agents are not ready.' });
    expect(JSON.parse(all.stdout)).toMatchObject({ kind: 'List', items: [{ kind: 'Agent', ...ill }] });
    bed.lines.length = 0;
    expect(parse((await run(['status', 'ill', '-o', 'yaml'], list(ill))).stdout)).toMatchObject(ill);
  });

  it('prints an empty list where there is none', async () => {
    const { code, stdout, stderr } = await run(['status', '-o', 'json'], list());
    expect({ code, stderr, items: JSON.parse(stdout) as unknown }).toEqual({
      code: 0,
      stderr: '',
      items: { apiVersion: 'v1', kind: 'List', items: [] },
    });
  });
});

it.each(commands.map(({ name, args, outputs }) => ({ name, args, outputs })))(
  'bullpen $name takes no way to print that it has not',
  async ({ name, args, outputs }) => {
    for (const format of (['json', 'yaml', 'wide', 'name'] satisfies Format[]).filter(
      (each) => !outputs.includes(each),
    ))
      expect(await run([...name.split(' '), ...args, '-o', format])).toMatchObject({ code: 2 });
    expect(bed.server.untaken).toEqual([]);
  },
);
