import { readFile } from 'node:fs/promises';

/** What a process has used so far, as Linux counts it. */
export interface ProcessUsage {
  /** User and system time of all its threads. */
  cpuSeconds: number;
  /** Resident now. */
  rssMiB: number;
  /** Of it what is its own: neither the program's file nor anything else that processes share. */
  anonMiB: number;
  /** The most that was ever resident. */
  peakRssMiB: number;
}

/** USER_HZ, which is 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** Reads /proc. Throws when there is no such process (or no Linux). */
export async function usageOf(pid: number): Promise<ProcessUsage> {
  const [stat, status] = await Promise.all(
    ['stat', 'status'].map((file) => readFile(`/proc/${String(pid)}/${file}`, 'utf8')),
  );
  // The second field is the program's name in parentheses, and may hold anything; the third is the state.
  const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ');
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status ?? '')?.[1]);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssMiB: kibibytes('VmRSS') / 1024,
    anonMiB: kibibytes('RssAnon') / 1024,
    peakRssMiB: kibibytes('VmHWM') / 1024,
  };
}
