import { readFile, readdir } from 'node:fs/promises';

/** What tells one process from a later one that was given the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/PID/stat. */
  startTicks: number;
}

/** A line of /proc/PID/stat: proc(5). The name in parentheses may itself hold spaces and parentheses. */
export function parseStat(text: string): { state: string; threads: number; startTicks: number } | undefined {
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
  const state = fields[0];
  const threads = Number(fields[17]);
  const startTicks = Number(fields[19]);
  if (!text.includes(')') || state === undefined || !Number.isSafeInteger(startTicks)) return undefined;
  return { state, threads, startTicks };
}

/**
 * Start ticks of a living process; undefined if there is none, or only a zombie that its parent has yet to notice. A zombie with
 * threads is still dying: its sockets are open until the last thread is gone.
 */
async function startTicksOf(pid: number): Promise<number | undefined> {
  if (process.platform !== 'linux') return exists(pid) ? 0 : undefined;
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const stat = parseStat(text);
  if (stat === undefined || stat.state === 'X') return undefined;
  return stat.state === 'Z' && stat.threads <= 1 ? undefined : stat.startTicks;
}

/** Whether the very process lives that was noted, not another with its pid. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await startTicksOf(identity.pid)) === identity.startTicks;
}

export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  const startTicks = await startTicksOf(pid);
  return startTicks === undefined ? undefined : { pid, startTicks };
}

/** Where there is no /proc, a pid must do: only the Docker provider runs there, which keeps no processes of its own. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Command line of a process; empty if it is gone or belongs to the kernel. */
export async function commandLineOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.split('\0').slice(0, -1);
}

/** All processes whose command line satisfies the condition. */
export async function findProcesses(matches: (commandLine: string[]) => boolean): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || !matches(await commandLineOf(pid))) continue;
    const identity = await identityOf(pid);
    if (identity !== undefined) found.push(identity);
  }
  return found;
}
