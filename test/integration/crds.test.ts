import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Parsed } from '../../src/api/parse.ts';
import { parseAgentSpec, parseSessionSpec } from '../../src/api/parse.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { allowedChanges, badAgents, badSessions, goodAgents, goodSessions, refusedChanges } from './crds.cases.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cluster = await connectCluster();
const namespace = `crds-${Date.now().toString(36)}`;
let folder = '';

interface Outcome {
  ok: boolean;
  /** What kubectl printed: its output when it succeeded, its complaint when it did not. */
  text: string;
}

/** Runs kubectl in the namespace of this file; a refusal is an outcome, not an error. */
async function kubectl(...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await cluster.kubectl(['--namespace', namespace, ...args]);
    return { ok: true, text: stdout + stderr };
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    return { ok: false, text: stderr ?? message };
  }
}

/** The output of a kubectl command that must succeed. */
async function output(...args: string[]): Promise<string> {
  const { ok, text } = await kubectl(...args);
  if (!ok) throw new Error(`kubectl ${args.join(' ')} failed: ${text}`);
  return text;
}

let files = 0;
async function manifest(kind: string, name: string, spec: object, metadata: object = { name }): Promise<string> {
  const file = join(folder, `${(files += 1)}.json`);
  await writeFile(file, JSON.stringify({ apiVersion: 'bullpen.dev/v1alpha1', kind, metadata, spec }));
  return file;
}

const dryRun = ['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bullpen-crds-'));
  await output('apply', '--server-side', '--force-conflicts', '-f', join(root, 'crds'));
  await output(
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
    'crd/agents.bullpen.dev',
    'crd/sessions.bullpen.dev',
  );
  await output('create', 'namespace', namespace);
});

afterAll(async () => {
  await kubectl('delete', 'namespace', namespace, '--wait=false');
  await rm(folder, { recursive: true, force: true });
});

describe('the CRDs', () => {
  test.each(['agents', 'sessions'])('%s is structural, and all of its rules are accepted', async (plural) => {
    const crd = JSON.parse(await output('get', 'crd', `${plural}.bullpen.dev`, '-o', 'json')) as {
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
    const stored = JSON.parse(await output(...dryRun, await manifest(kind, 'x', spec))) as { spec: unknown };
    // The defaults of the server are those of the controller: what comes back parses to itself.
    expect(parseSpec(stored.spec)).toEqual({ ok: true, spec: stored.spec });
    expect(parseSpec(spec)).toEqual({ ok: true, spec: stored.spec });
  });

  test.each(bad)('refused: %s', async (_, spec, sentence) => {
    const { ok, text } = await kubectl(...dryRun, await manifest(kind, 'x', spec));
    expect(text).toContain(sentence);
    expect(ok).toBe(false);
    expect(parseSpec(spec).ok).toBe(false);
  });

  test('refused: a field that does not exist, when validation is strict', async () => {
    const { ok, text } = await kubectl(...dryRun, await manifest(kind, 'x', { image: 'a', agent: 'a', imag: 'b' }));
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
    const spec = kind === 'Agent' ? { image: 'a' } : { agent: 'a' };
    const { ok, text } = await kubectl(...dryRun, await manifest(kind, '', spec, metadata));
    expect(text).toContain(sentence);
    expect(ok).toBe(sentence === '');
  });
});

describe('a Session once made', () => {
  let count = 0;
  async function change(from: object, patch: object): Promise<Outcome> {
    const name = `change-${(count += 1)}`;
    await output('create', '-f', await manifest('Session', name, from));
    return kubectl('patch', 'session', name, '--type=merge', '-p', JSON.stringify({ spec: patch }));
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
    await output('apply', '--validate=strict', '-f', file);
    await output('apply', '--validate=strict', '-f', file);
    await output('apply', '--server-side', '--force-conflicts', '--validate=strict', '-f', file);
    expect(await output('get', kind, metadata.name, '-o', 'jsonpath={.metadata.generation}')).toBe('1');
  });
});

describe('people', () => {
  beforeAll(async () => {
    await output('create', '-f', await manifest('Agent', 'people', { image: 'busybox:1.36' }));
    for (const name of ['people-1', 'people-2']) {
      await output('create', '-f', await manifest('Session', name, { agent: 'people' }));
    }
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: 'm',
      lastTransitionTime: '2030-01-01T00:00:00Z',
    };
    await setStatus('agent', 'people', { activeSessions: 2, warm: 1, conditions: [ready] });
    await setStatus('session', 'people-1', {
      phase: 'Running',
      reason: 'of a newer version',
      podName: 'p',
      startKind: 'Cold',
    });
  });

  const setStatus = (kind: string, name: string, status: object) =>
    output('patch', kind, name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status }));
  const columns = async (...args: string[]) =>
    (await output('get', ...args)).split('\n').map((line) => line.split(/ {2,}/));

  test('see what matters in a table', async () => {
    const [header, row] = await columns('agent', 'people');
    expect(header?.join(' ').trim()).toBe('NAME IMAGE ACTIVE MAX WARM READY AGE');
    expect(row?.slice(0, 6)).toEqual(['people', 'busybox:1.36', '2', '50', '1', 'True']);
    expect((await columns('session', 'people-1'))[0]?.join(' ').trim()).toBe('NAME AGENT PHASE REASON POD START AGE');
  });

  test('see more in a wide one', async () => {
    expect((await columns('agent', 'people', '-o', 'wide'))[0]?.join(' ')).toContain('QUEUED PROTOCOL REVISION REASON');
    expect((await columns('session', 'people-1', '-o', 'wide'))[0]?.join(' ')).toContain(
      'NODE LIMIT STARTED ENDED MESSAGE',
    );
  });

  test('find Sessions by agent and phase', async () => {
    const find = (selector: string) => output('get', 'sessions', '--field-selector', selector, '-o', 'name');
    expect(await find('spec.agent=people,status.phase=Running')).toBe('session.bullpen.dev/people-1\n');
    expect((await find('spec.agent=people')).trim().split('\n')).toHaveLength(2);
  });

  test.each(['ag', 'agent', 'agents', 'ses', 'session', 'sessions', 'bullpen'])('type %s', async (word) => {
    expect(await output('get', word, '-o', 'name')).toContain('bullpen.dev/people');
  });

  test('wait for an Agent to be ready', async () => {
    expect(await output('wait', '--for=condition=Ready', '--timeout=5s', 'agent/people')).toContain('condition met');
  });

  test.each([
    ['agent.spec.maxSessionDuration', /In seconds: 60 to 14400, default 7200/],
    ['agent.spec.scaling.maxAgents', /0 to 5000, default 50/],
    ['agent.spec.podTemplate.spec', /kubectl explain pod\.spec/],
    ['session.spec.stop', /Once true it stays true/],
    ['session.spec.body', /at most 8192 characters/],
    ['session.status.reason', /Completed \(the agent ended by itself, successfully\)/],
  ])('read what %s means', async (path, text) => {
    // kubectl breaks lines.
    expect((await output('explain', path)).replaceAll(/\s+/g, ' ')).toMatch(text);
  });
});
