import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { apiVersion } from '../../src/api/names.ts';
import type { Parsed } from '../../src/api/parse.ts';
import { parseAgentSpec, parseSessionSpec } from '../../src/api/parse.ts';
import { CommandError } from '../cluster/run.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { allowedChanges, badAgents, badSessions, goodAgents, goodSessions, refusedChanges } from './crds.cases.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cluster = await connectCluster();
const namespace = `crds-${Date.now().toString(36)}`;

interface Outcome {
  ok: boolean;
  /** What kubectl printed: its output when it succeeded, its complaint when it did not. */
  text: string;
}

/** Runs kubectl in the namespace of this file; a refusal is an outcome, not an error. */
async function kubectl(args: string[], input = ''): Promise<Outcome> {
  try {
    const { stdout, stderr } = await cluster.kubectl(['--namespace', namespace, ...args], { input });
    return { ok: true, text: stdout + stderr };
  } catch (error) {
    if (error instanceof CommandError) return { ok: false, text: error.stderr };
    throw error;
  }
}

/** The output of a kubectl command that must succeed. */
async function output(args: string[], input?: string): Promise<string> {
  const { ok, text } = await kubectl(args, input);
  if (!ok) throw new Error(`kubectl ${args.join(' ')} failed: ${text}`);
  return text;
}

const manifest = (kind: string, metadata: object, spec: object): string =>
  JSON.stringify({ apiVersion, kind, metadata, spec });

const create = (kind: string, name: string, spec: object): Promise<string> =>
  output(['create', '-f', '-'], manifest(kind, { name }, spec));

/** What the server makes of an object, without storing it. */
const dryRun = (kind: string, spec: object, metadata: object = { name: 'x' }): Promise<Outcome> =>
  kubectl(['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f', '-'], manifest(kind, metadata, spec));

const mergePatch = (body: object): string[] => ['--type=merge', '-p', JSON.stringify(body)];

const setStatus = (kind: string, name: string, status: object): Promise<string> =>
  output(['patch', kind, name, '--subresource=status', ...mergePatch({ status })]);

beforeAll(async () => {
  await output(['apply', '--server-side', '--force-conflicts', '-f', join(root, 'crds')]);
  await output([
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
    'crd/agents.bullpen.dev',
    'crd/sessions.bullpen.dev',
  ]);
  await output(['create', 'namespace', namespace]);
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--wait=false']);
});

describe('the CRDs', () => {
  test.each(['agents', 'sessions'])('%s is structural, and all of its rules are accepted', async (plural) => {
    const crd = JSON.parse(await output(['get', 'crd', `${plural}.bullpen.dev`, '-o', 'json'])) as {
      status: { conditions: { type: string; status: string }[] };
    };
    const conditions = Object.fromEntries(crd.status.conditions.map(({ type, status }) => [type, status]));
    expect(conditions).toMatchObject({ Established: 'True', NamesAccepted: 'True' });
    expect(conditions).not.toHaveProperty('NonStructuralSchema');
  });
});

describe.each<[string, typeof goodAgents, typeof badAgents, (spec: unknown) => Parsed<unknown>]>([
  ['Agent', goodAgents, badAgents, parseAgentSpec],
  ['Session', goodSessions, badSessions, parseSessionSpec],
])('%s: server and controller agree', (kind, good, bad, parseSpec) => {
  test.each(good)('accepted: %s', async (_, spec) => {
    const { ok, text } = await dryRun(kind, spec);
    expect(ok ? 'accepted' : text).toBe('accepted');
    const stored = JSON.parse(text) as { spec: unknown };
    // The defaults of the server are those of the controller: what comes back parses to itself.
    expect(parseSpec(stored.spec)).toEqual({ ok: true, spec: stored.spec });
    expect(parseSpec(spec)).toEqual({ ok: true, spec: stored.spec });
  });

  test.each(bad)('refused: %s', async (_, spec, sentence) => {
    const { ok, text } = await dryRun(kind, spec);
    expect(text).toContain(sentence);
    expect(ok).toBe(false);
    expect(parseSpec(spec).ok).toBe(false);
  });

  test('refused: a field that does not exist, when validation is strict', async () => {
    const { ok, text } = await dryRun(kind, { image: 'a', agent: 'a', imag: 'b' });
    expect(text).toContain('unknown field "spec.imag"');
    expect(ok).toBe(false);
  });
});

describe('names', () => {
  test.each<[string, string, object, string]>([
    [
      'an Agent with 64 characters',
      'Agent',
      { name: 'a'.repeat(64) },
      'must have at most 63 lowercase letters, digits',
    ],
    ['an Agent with a dot', 'Agent', { name: 'a.b' }, "must have at most 63 lowercase letters, digits and '-'"],
    ['a Session with 64 characters', 'Session', { name: 'a'.repeat(64) }, 'must have at most 63 characters'],
    ['an Agent with 63 characters', 'Agent', { name: 'a'.repeat(63) }, ''],
    ['a Session with 63 characters', 'Session', { name: 'a'.repeat(63) }, ''],
    ['a Session with a generated name', 'Session', { generateName: 'a'.repeat(63) }, ''],
  ])('%s', async (_, kind, metadata, sentence) => {
    const { ok, text } = await dryRun(kind, kind === 'Agent' ? { image: 'a' } : { agent: 'a' }, metadata);
    expect(text).toContain(sentence);
    expect(ok).toBe(sentence === '');
  });
});

describe('a Session once made', () => {
  let count = 0;
  async function change(from: object, patch: object): Promise<Outcome> {
    const name = `change-${(count += 1)}`;
    await create('Session', name, from);
    return kubectl(['patch', 'session', name, ...mergePatch({ spec: patch })]);
  }

  test.each(refusedChanges)('keeps what it has: %s is refused', async (_, from, patch, sentence) => {
    const { ok, text } = await change(from, patch);
    expect(text).toContain(sentence);
    expect(ok).toBe(false);
  });

  test.each(allowedChanges)('can still get: %s', async (_, from, patch) => {
    expect(await change(from, patch)).toMatchObject({ ok: true });
  });
});

describe('the examples', () => {
  test.each(['agent.yaml', 'session.yaml'])('%s is accepted, and applying it again changes nothing', async (name) => {
    const file = join(root, 'examples', name);
    const { kind, metadata } = parse(await readFile(file, 'utf8')) as { kind: string; metadata: { name: string } };
    await output(['apply', '--validate=strict', '-f', file]);
    await output(['apply', '--validate=strict', '-f', file]);
    await output(['apply', '--server-side', '--force-conflicts', '--validate=strict', '-f', file]);
    expect(await output(['get', kind, metadata.name, '-o', 'jsonpath={.metadata.generation}'])).toBe('1');
  });
});

describe('people', () => {
  beforeAll(async () => {
    await create('Agent', 'people', { image: 'busybox:1.36' });
    for (const name of ['people-1', 'people-2']) await create('Session', name, { agent: 'people' });
    const ready = {
      ...{ type: 'Ready', status: 'True', reason: 'Ready', message: 'm' },
      lastTransitionTime: '2030-01-01T00:00:00Z',
    };
    await setStatus('agent', 'people', { activeSessions: 2, warm: 1, conditions: [ready] });
    await setStatus('session', 'people-1', {
      phase: 'Running',
      reason: 'OfANewerVersion',
      podName: 'p',
      startKind: 'Cold',
    });
  });

  const table = async (...args: string[]) => {
    const [header = '', row = ''] = (await output(['get', ...args])).split('\n');
    return { header: header.trim().split(/ {2,}/).join(' '), row: row.split(/ {2,}/) };
  };

  test('see what matters in a table', async () => {
    const { header, row } = await table('agent', 'people');
    expect(header).toBe('NAME IMAGE ACTIVE MAX WARM READY AGE');
    expect(row.slice(0, 6)).toEqual(['people', 'busybox:1.36', '2', '50', '1', 'True']);
    expect((await table('session', 'people-1')).header).toBe('NAME AGENT PHASE REASON POD START AGE');
  });

  test('see more in a wide one', async () => {
    expect((await table('agent', 'people', '-o', 'wide')).header).toContain('QUEUED PROTOCOL REVISION REASON');
    expect((await table('session', 'people-1', '-o', 'wide')).header).toContain('NODE LIMIT STARTED ENDED MESSAGE');
  });

  test('find Sessions by agent and phase', async () => {
    const find = (selector: string) => output(['get', 'sessions', '--field-selector', selector, '-o', 'name']);
    expect(await find('spec.agent=people,status.phase=Running')).toBe('session.bullpen.dev/people-1\n');
    expect((await find('spec.agent=people')).trim().split('\n')).toHaveLength(2);
  });

  test.each(['ag', 'agent', 'agents', 'ses', 'session', 'sessions', 'bullpen'])('type %s', async (word) => {
    expect(await output(['get', word, '-o', 'name'])).toContain('bullpen.dev/people');
  });

  test('wait for an Agent to be ready', async () => {
    await output(['wait', '--for=condition=Ready', '--timeout=5s', 'agent/people']);
  });

  test.each([
    ['agent.spec.maxSessionDuration', 'In seconds: 60 to 14400, default 7200.'],
    ['agent.spec.scaling.maxAgents', '0 to 5000, default 50.'],
    ['agent.spec.podTemplate.spec', 'kubectl explain pod.spec'],
    ['session.spec.stop', 'Once true it stays true.'],
    ['session.spec.body', 'at most 8192 characters'],
    ['session.status.reason', 'Completed (the agent ended by itself, successfully)'],
  ])('read what %s means', async (path, text) => {
    const explained = await output(['explain', path]);
    expect(explained.replaceAll(/\s+/g, ' '), 'but for the line breaks of kubectl').toContain(text);
  });
});
