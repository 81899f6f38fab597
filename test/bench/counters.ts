import { readState } from '../cluster/state.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import type { Writes } from './audit-log.ts';
import type { Bed } from './bed.ts';
import { usageOf } from './process-usage.ts';
import { countBy, increase, parseMetrics, total, type Counts } from './prometheus.ts';

/** Everything that is counted, at one moment or between two. */
export interface Counters extends Writes {
  /** Reads that the controller sent (lists and watches included). */
  controllerReads: number;
  /** Reconciliations by loop. */
  reconciles: Counts;
  etcdPuts: number;
  cpuSeconds: number;
  /** `performance.now()`. */
  at: number;
}

export async function readCounters(bed: Bed, controller: ControllerProcess): Promise<Counters> {
  const [{ writes, failures }, own, etcdPuts, usage] = await Promise.all([
    bed.audit.read(),
    controller.metrics(),
    readEtcdPuts(bed),
    usageOf(controller.pid),
  ]);
  return {
    writes,
    failures,
    controllerReads: total(
      countBy(parseMetrics(own, ['rest_client_requests_total']), ({ labels }) =>
        labels['method'] === 'GET' ? 'reads' : undefined,
      ),
    ),
    reconciles: countBy(
      parseMetrics(own, ['controller_runtime_reconcile_total']),
      ({ labels }) => labels['controller'],
    ),
    etcdPuts,
    cpuSeconds: usage.cpuSeconds,
    at: performance.now(),
  };
}

/** What happened between two readings. */
export function between(before: Counters, after: Counters): Counters {
  return {
    writes: increase(before.writes, after.writes),
    failures: increase(before.failures, after.failures),
    controllerReads: after.controllerReads - before.controllerReads,
    reconciles: increase(before.reconciles, after.reconciles),
    etcdPuts: after.etcdPuts - before.etcdPuts,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    at: after.at - before.at,
  };
}

async function readEtcdPuts(bed: Bed): Promise<number> {
  const state = await readState(bed.cluster.folder ?? '');
  const answer = await fetch(`${state?.etcdUrl ?? ''}/metrics`);
  return total(countBy(parseMetrics(await answer.text(), ['etcd_mvcc_put_total']), () => 'puts'));
}
