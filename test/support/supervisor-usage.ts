import { supervisorContainer } from '../../src/api/names.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { readState } from '../cluster/state.ts';
import { containerUsage, type ContainerUsage } from './container-usage.ts';

/** The part of a pod that matters here. */
interface PodWithSupervisor {
  status?: { containerStatuses?: { name: string; containerID?: string }[] };
}

/** What the supervisor of a pod has used. Only with a node of local binaries: its containers' cgroups are on this machine. */
export async function supervisorUsage(cluster: Cluster, { status }: PodWithSupervisor): Promise<ContainerUsage> {
  const state = await readState(cluster.folder ?? '');
  const container = status?.containerStatuses?.find(({ name }) => name === supervisorContainer);
  return containerUsage(state?.network?.namespace ?? '', container?.containerID ?? '');
}

/** How long after its start the process of a supervisor listened, as its log says. */
export function listeningAfterMs(log: string): number {
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg?: string; sinceProcessStartMs?: number });
  return lines.find(({ msg }) => msg === 'listening')?.sinceProcessStartMs ?? NaN;
}
