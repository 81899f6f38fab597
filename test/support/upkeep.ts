import { waitFor } from '../cluster/wait.ts';
import type { ChaosProxy, ProxiedCall } from './chaos-proxy.ts';

const KEYS = ['bullpen-controller-keys', 'bullpen-gateway-keys'];
const PUBLISHED = 'bullpen-sealing-keys';

/** Agents say how many sessions they have every 10 s; after so long without a call everything has been said. */
const QUIET_MS = 12_000;

/**
 * Whether a controller does this also when it has nothing to do: it holds its lease, watches, and looks at the Secrets of the keys, and at
 * what it publishes, every 30 s. A right to watch Secrets would be too much for that.
 */
export function isUpkeep({ what, name, watch }: ProxiedCall): boolean {
  return (
    watch ||
    what.endsWith(' leases') ||
    (what === 'GET secrets' && KEYS.includes(name ?? '')) ||
    (what === 'GET configmaps' && name === PUBLISHED)
  );
}

/** Resolves when the controller behind this proxy has done all that it has to do, and has had nothing but upkeep to do since. */
export async function untilQuiet(proxy: ChaosProxy): Promise<void> {
  const last = (): number => proxy.calls.findLast((call) => !isUpkeep(call))?.at ?? 0;
  await waitFor(() => Promise.resolve(Date.now() - last() > QUIET_MS), {
    what: 'all to be written that has to be',
    timeoutMs: 120_000,
    intervalMs: 500,
  });
}
