import { createServer } from 'node:net';

/** Below the range from which systems take ports for outgoing connections, so that nothing takes one between choice and use. */
const lowest = 20_000;
const highest = 32_000;

export interface PortChoice {
  /** Uniform in [0, 1). */
  random: () => number;
  /** Whether nothing listens on the port. */
  isFree: (port: number) => Promise<boolean>;
}

/** Different ports nobody listens on. Chosen at random, so that clusters that start at the same time do not pick the same. */
export async function freePorts(
  count: number,
  choice: PortChoice = { random: Math.random, isFree: isFreeOnLoopback },
): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; attempt < 200 * count && found.size < count; attempt += 1) {
    const port = lowest + Math.floor(choice.random() * (highest - lowest));
    if (!found.has(port) && (await choice.isFree(port))) found.add(port);
  }
  if (found.size < count) throw new Error(`no ${count} free ports between ${lowest} and ${highest}`);
  return [...found];
}

/** Whether this process could listen on the port of 127.0.0.1 right now. */
export async function isFreeOnLoopback(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
