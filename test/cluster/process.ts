import { spawn } from 'node:child_process';
import { mkdir, open, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { commandLineOf, identityOf, isAlive, type ProcessIdentity } from './process-table.ts';
import { commandEnvironment } from './run.ts';
import { waitFor } from './wait.ts';

/** A program of the cluster, as it is started and started again. */
export interface ProcessSpec {
  name: string;
  command: string;
  args: string[];
}

/** What is noted on disk about a started program, so that any later process can stop it or start it again. */
export interface ProcessRecord extends ProcessSpec, ProcessIdentity {
  /** Programs are stopped in descending order. */
  order: number;
}

/** Starts a program that outlives this one. Its output goes to `logs/NAME.log` of the cluster's folder. */
export async function startProcess(folder: string, spec: ProcessSpec): Promise<ProcessRecord> {
  await mkdir(join(folder, 'logs'), { recursive: true });
  await mkdir(join(folder, 'processes'), { recursive: true });
  const log = await open(join(folder, 'logs', `${spec.name}.log`), 'a');
  try {
    const child = spawn(spec.command, spec.args, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: commandEnvironment(),
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve(child.pid ?? 0));
    });
    child.unref();
    const identity = (await identityOf(pid)) ?? { pid, startTicks: -1 };
    const previous = await readRecords(folder);
    const order =
      previous.find((other) => other.name === spec.name)?.order ??
      1 + Math.max(0, ...previous.map((other) => other.order));
    const record: ProcessRecord = { ...spec, ...identity, order };
    const file = recordFile(folder, spec.name);
    await writeFile(`${file}.new`, JSON.stringify(record, undefined, 2));
    await rename(`${file}.new`, file);
    return record;
  } finally {
    await log.close();
  }
}

/** Starts a program again as it was started before. Does nothing if it runs. */
export async function startAgain(folder: string, name: string): Promise<ProcessRecord> {
  const record = await readRecord(folder, name);
  if (record === undefined) throw new Error(`this cluster has no ${name}`);
  return (await isRunning(record)) ? record : await startProcess(folder, record);
}

/** Stops a program and waits until it is gone. One that does not heed the signal is killed after `patienceMs`. */
export async function stopProcess(
  folder: string,
  name: string,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
  patienceMs = 10_000,
): Promise<void> {
  const record = await readRecord(folder, name);
  if (record !== undefined && (await isRunning(record))) await stopIdentity(record, signal, patienceMs);
}

/** Stops whatever process this is, and waits until it is gone. */
export async function stopIdentity(
  identity: ProcessIdentity,
  signal: 'SIGTERM' | 'SIGKILL',
  patienceMs = 10_000,
): Promise<void> {
  const gone = async (): Promise<boolean> => !(await isAlive(identity));
  const what = `process ${identity.pid} to end`;
  if (await gone()) return;
  send(identity.pid, signal);
  try {
    await waitFor(gone, { what, timeoutMs: patienceMs, intervalMs: 20 });
  } catch {
    send(identity.pid, 'SIGKILL');
    await waitFor(gone, { what, timeoutMs: 10_000, intervalMs: 20 });
  }
}

/** Programs of the cluster, in the order in which they are to be stopped. */
export async function readRecords(folder: string): Promise<ProcessRecord[]> {
  const names = await readdir(join(folder, 'processes')).catch(() => []);
  const records: ProcessRecord[] = [];
  for (const name of names.filter((entry) => entry.endsWith('.json'))) {
    const record = await readRecord(folder, basename(name, '.json'));
    if (record !== undefined) records.push(record);
  }
  return records.sort((a, b) => b.order - a.order);
}

/** Whether the noted program runs: same start time, and its command line (without a wrapper that has become it) is as noted. */
export async function isRunning(record: ProcessRecord): Promise<boolean> {
  return (await isAlive(record)) && isCommandLineOf(record, await commandLineOf(record.pid));
}

/** Whether a process with this command line is the program, or the program behind a wrapper such as nsenter. */
export function isCommandLineOf(spec: ProcessSpec, commandLine: readonly string[]): boolean {
  const noted = [spec.command, ...spec.args];
  const from = noted.length - commandLine.length;
  return commandLine.length > 0 && from >= 0 && commandLine.every((word, index) => word === noted[from + index]);
}

/** Throws, with the end of its log, when a program of the cluster no longer runs. */
export async function assertRunning(folder: string, name: string): Promise<void> {
  const record = await readRecord(folder, name);
  if (record !== undefined && (await isAlive(record))) return;
  const log = await readFile(join(folder, 'logs', `${name}.log`), 'utf8').catch(() => '');
  throw new Error(`${name} has ended; its last words:\n${log.trim().split('\n').slice(-15).join('\n')}`);
}

async function readRecord(folder: string, name: string): Promise<ProcessRecord | undefined> {
  const text = await readFile(recordFile(folder, name), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as ProcessRecord);
}

function recordFile(folder: string, name: string): string {
  return join(folder, 'processes', `${name}.json`);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended in the meantime: that is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
