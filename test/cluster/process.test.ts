import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { identityOf, isAlive, parseStat } from './process-table.ts';
import {
  assertRunning,
  isCommandLineOf,
  isRunning,
  readRecords,
  startAgain,
  startProcess,
  stopProcess,
} from './process.ts';
import { waitFor } from './wait.ts';

const fields = (state: string, threads: number, ticks: number): string =>
  `${state} 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 ${threads} 0 ${ticks} 0 0`;

describe('a line of /proc/PID/stat', () => {
  test('gives state, threads and start time', () => {
    expect(parseStat(`42 (sleep) ${fields('S', 3, 777)}\n`)).toEqual({ state: 'S', threads: 3, startTicks: 777 });
  });

  test('may hold a name with spaces and parentheses', () => {
    expect(parseStat(`42 (a) Z (b c) ${fields('R', 1, 5)}`)).toEqual({ state: 'R', threads: 1, startTicks: 5 });
  });

  test('may be missing or broken', () => {
    expect(parseStat('')).toBeUndefined();
    expect(parseStat('42 (sleep) S 1')).toBeUndefined();
  });
});

describe('a process', () => {
  test('is told from a later one with the same pid', async () => {
    const self = await identityOf(process.pid);
    if (self === undefined) throw new Error('this process should exist');
    expect(await isAlive(self)).toBe(true);
    expect(await isAlive({ ...self, startTicks: self.startTicks + 1 })).toBe(false);
  });

  test('is recognised by its command line, also behind a wrapper that has become it', () => {
    const spec = { name: 'k', command: '/bin/nsenter', args: ['--net=n', '--', '/bin/kubelet', '--config=c'] };
    expect(isCommandLineOf(spec, ['/bin/nsenter', '--net=n', '--', '/bin/kubelet', '--config=c'])).toBe(true);
    expect(isCommandLineOf(spec, ['/bin/kubelet', '--config=c'])).toBe(true);
    expect(isCommandLineOf(spec, ['/bin/kubelet', '--config=other'])).toBe(false);
    expect(isCommandLineOf(spec, [])).toBe(false);
  });
});

describe.runIf(process.platform === 'linux')('a program of a cluster', () => {
  let folder = '';
  const sleeper = (seconds: string): { name: string; command: string; args: string[] } => ({
    name: 'sleeper',
    command: '/bin/sh',
    args: ['-c', `echo started; sleep ${seconds}; true`],
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bullpen-process-'));
  });

  afterEach(async () => {
    await stopProcess(folder, 'sleeper', 'SIGKILL');
    await rm(folder, { recursive: true });
  });

  test('can be stopped and started again by whoever knows the folder', async () => {
    const first = await startProcess(folder, sleeper('60'));
    expect(await isRunning(first)).toBe(true);
    await stopProcess(folder, 'sleeper');
    expect(await isRunning(first)).toBe(false);
    const second = await startAgain(folder, 'sleeper');
    expect(second.pid).not.toBe(first.pid);
    expect(await readRecords(folder)).toEqual([second]);
    expect((await startAgain(folder, 'sleeper')).pid).toBe(second.pid);
  });

  test('that has ended is reported with its last words', async () => {
    const record = await startProcess(folder, sleeper('0'));
    await waitFor(async () => !(await isAlive(record)), { what: 'it to end', timeoutMs: 5_000 });
    await expect(assertRunning(folder, 'sleeper')).rejects.toThrow('sleeper has ended; its last words:\nstarted');
  });
});
