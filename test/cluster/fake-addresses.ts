import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { SUPERVISOR_PORT } from '../../src/supervisor/wire.ts';

/** Addresses for the pods of one fake kubelet, which no other one on this machine uses. */
export interface PodAddressBlock {
  /** The address of the n-th pod, from 0. They come round again after 65,000. */
  podIP: (index: number) => string;
  /** Another may have them. */
  release: () => void;
}

/** 127.64.0.0/10 has so many blocks (/16). All of 127.0.0.0/8 leads to this machine. */
const BLOCKS = 64;

/** Numbers within a block that are given to pods; the first address, and the last ones, are not. */
const PODS = 65_000;

/**
 * Finds a block that nobody else uses: whoever uses one holds a port at its first address, which ends with the process, so nothing
 * is left of one that crashed. Where the system does not have these addresses (macOS), nobody can serve a pod there either.
 */
export async function claimPodAddresses(random: () => number = Math.random): Promise<PodAddressBlock> {
  const first = Math.floor(random() * BLOCKS);
  for (let tried = 0; tried < BLOCKS; tried += 1) {
    const block = (first + tried) % BLOCKS;
    const claim = await hold(`127.${64 + block}.0.0`);
    if (claim === 'taken') continue;
    return {
      podIP: (index) => {
        const number = (index % PODS) + 1;
        return `127.${64 + block}.${number >> 8}.${number & 255}`;
      },
      release: () => void claim?.close(),
    };
  }
  throw new Error(`all ${BLOCKS} blocks of pod addresses are taken by other fake kubelets`);
}

async function hold(address: string): Promise<Server | 'taken' | undefined> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen(SUPERVISOR_PORT, address);
    await once(server, 'listening');
    return server.unref();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return 'taken';
    if (code === 'EADDRNOTAVAIL') return undefined;
    throw error;
  }
}
