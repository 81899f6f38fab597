import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ScriptedServer, type ScriptedRequest } from '../kube/testing/scripted-server.ts';
import { callSession } from './testing/objects.ts';

/** `bullpen` as a process of its own: how it ends, and what gets out of it. */
const program = fileURLToPath(new URL('../cli-main.ts', import.meta.url));
const SESSIONS = '/apis/bullpen.dev/v1alpha1/namespaces/calls/sessions';

let server: ScriptedServer;
let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  server = new ScriptedServer();
  folder = await mkdtemp(join(tmpdir(), 'bullpen-cli-'));
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'here', namespace: 'calls' } }],
    clusters: [{ name: 'here', cluster: { server: await server.listen(), 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'here', user: {} }],
  };
  await writeFile(join(folder, 'config'), JSON.stringify(config));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function bullpen(args: readonly string[], into: 'pipe' | number = 'pipe') {
  const env = { ...process.env, KUBECONFIG: join(folder, 'config'), XDG_CACHE_HOME: folder };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', into, 'pipe'] });
  children.push(child);
  const stdout = child.stdout as Readable;
  const stderr = text(child.stderr as Readable);
  const ended = once(child, 'exit').then(async ([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
    stderr: await stderr,
  }));
  /** Its next request to the cluster, which must be this one. */
  const next = async (what: string): Promise<ScriptedRequest> => {
    const request = await Promise.race([server.next(), ended]);
    expect(request).toMatchObject({ what });
    return request as ScriptedRequest;
  };
  return { child, stdout, ended, next };
}

/** Sessions whose list is many times what a pipe takes. */
const many = Array.from({ length: 4000 }, (_, index) => callSession({ message: `${index} `.padEnd(1000, '.') }));

/** Reads one piece at a time. */
async function readSlowly(stream: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) {
    pieces.push(piece);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Buffer.concat(pieces).toString();
}

describe('what is printed into a pipe', () => {
  it('is all there, however slowly it is read', async () => {
    const { stdout, ended, next } = bullpen(['sessions', '-o', 'json']);
    (await next(`GET ${SESSIONS}`)).list('5', many);
    const printed = await readSlowly(stdout);
    expect(await ended).toEqual({ code: 0, signal: null, stderr: '' });
    expect(printed.length).toBeGreaterThan(4_000_000);
    expect(JSON.parse(printed)).toMatchObject({ kind: 'List', items: many });
  });

  it('is all there of a log, to its last line', async () => {
    const { stdout, ended, next } = bullpen(['logs', 'call']);
    (await next(`GET ${SESSIONS}/call`)).json(200, callSession({ phase: 'Running', podName: 'pod-1' }));
    const log = await next('GET /api/v1/namespaces/calls/pods/pod-1/log');
    const lines = Array.from({ length: 40_000 }, (_, index) => `line ${index} ${'.'.repeat(index % 100)}\n`);
    const sent = log.send(lines.map((line) => `2026-01-01T00:00:00Z ${line}`).join('')).then(() => log.end());
    const printed = await readSlowly(stdout);
    await sent;
    expect(await ended).toEqual({ code: 0, signal: null, stderr: '' });
    expect(printed === lines.join('')).toBe(true);
  });

  it('is all there of what went wrong, too', async () => {
    // As long as arguments may be: more than a pipe takes.
    const words = ['a', 'b'].map((letter) => letter.repeat(130_000));
    const { code, stderr } = await bullpen(words).ended;
    expect(code).toBe(2);
    expect(stderr.startsWith(`There is no command "${words.join(' ')}".\n\nusage: bullpen`)).toBe(true);
    expect(stderr).toMatch(/as kubectl does\.\n$/);
  });

  it.each([
    ['a list', ['sessions', '-o', 'json']],
    ['the help', ['--help']],
  ])('ends it quietly, as kubectl, when nobody reads it: %s', async (_, args) => {
    const { stdout, ended, next } = bullpen(args);
    stdout.destroy();
    await once(stdout, 'close');
    if (args[0] === 'sessions') (await next(`GET ${SESSIONS}`)).list('5', many);
    expect(await ended).toEqual({ code: 141, signal: null, stderr: '' });
  });

  it('ends it when nobody reads on', async () => {
    const { stdout, ended, next } = bullpen(['logs', 'call', '-f']);
    const running = callSession({ phase: 'Running', podName: 'pod-1', startedAt: '2026-01-01T00:00:01Z' });
    (await next(`GET ${SESSIONS}/call`)).json(200, running);
    (await next(`GET ${SESSIONS}`)).list('5', [running]);
    const log = await next('GET /api/v1/namespaces/calls/pods/pod-1/log');
    await log.send('2026-01-01T00:00:00Z hello\n');
    expect(String((await once(stdout, 'data'))[0])).toBe('hello\n');
    stdout.destroy();
    await once(stdout, 'close');
    await log.send('2026-01-01T00:00:01Z is anybody there?\n');
    expect(await ended).toEqual({ code: 141, signal: null, stderr: '' });
  });
});

it.skipIf(!existsSync('/dev/full'))('says so when its output cannot be written', async () => {
  const full = await open('/dev/full', 'w');
  const { ended } = bullpen(['--help'], full.fd);
  expect(await ended).toEqual({
    code: 1,
    signal: null,
    stderr: expect.stringMatching(/^Cannot write .*no space left/) as string,
  });
  await full.close();
});

it('tells no agent what was not in the file', async () => {
  const path = join(folder, 'latin-1.json');
  await writeFile(path, Buffer.from('"grüße"', 'latin1'));
  expect(await bullpen(['start', 'echo', '--data-file', path]).ended).toEqual({
    code: 2,
    signal: null,
    stderr: `cannot read ${path}: it is not text in UTF-8\n`,
  });
  expect(server.untaken).toEqual([]);
});

describe('Ctrl-C', () => {
  it('ends a command that asks the cluster, and does not wait for the answer', async () => {
    const { child, ended, next } = bullpen(['sessions']);
    await next(`GET ${SESSIONS}`);
    child.kill('SIGINT');
    expect(await ended).toEqual({ code: null, signal: 'SIGINT', stderr: '' });
  });

  it('ends a log that is followed, also where its reader has stopped reading', async () => {
    const { child, stdout, ended, next } = bullpen(['logs', 'call', '-f']);
    const running = callSession({ phase: 'Running', podName: 'pod-1', startedAt: '2026-01-01T00:00:01Z' });
    (await next(`GET ${SESSIONS}/call`)).json(200, running);
    (await next(`GET ${SESSIONS}`)).list('5', [running]);
    const log = await next('GET /api/v1/namespaces/calls/pods/pod-1/log');
    void log.send(`2026-01-01T00:00:00Z ${'.'.repeat(200)}\n`.repeat(20_000)).catch(() => undefined);
    await once(stdout, 'readable');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 0, signal: null });
  });
});
