import { randomUUID } from 'node:crypto';
import type { SessionStatus } from '../../src/api/session.ts';
import type { Bed } from './bed.ts';
import { benchSession } from './workload.ts';

/** Requests under way at once: enough to keep an API server on two cores busy. */
const PARALLEL = 16;

export interface EndedOptions {
  agent: string;
  /** Name of a Session that has really run: theirs is its status, but for a pod of their own. */
  like: string;
  count: number;
}

/**
 * Writes Sessions that have ended, without running them: the object, then its status. To a controller that starts afterwards they
 * are like real ones whose pods are gone. **No controller may run meanwhile**: it would see them without their status, and start them.
 */
export async function createEnded(bed: Bed, { agent, like, count }: EndedOptions): Promise<void> {
  const { status } = await bed.api.call<{ status: SessionStatus }>('GET', `${bed.sessions}/${like}`);
  const indexes = Array.from({ length: count }, (_, index) => index).values();
  const worker = async (): Promise<void> => {
    for (const index of indexes) {
      const name = `past-${index}`;
      // As if made by a manifest: such Sessions are kept until somebody deletes them.
      await bed.api.text('POST', bed.sessions, benchSession(name, agent, { overRest: false }));
      const own = { ...status, podName: `${name}-bcdfghjklm`, podUID: randomUUID() };
      await bed.api.text('PATCH', `${bed.sessions}/${name}/status`, { status: own }, 'application/merge-patch+json');
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}
