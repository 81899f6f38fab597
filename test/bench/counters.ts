import { readState } from '../cluster/state.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import type { Bed } from './bed.ts';
import { usageOf } from './process-usage.ts';
import { countBy, increase, parseMetrics, total, type Counts, type Sample } from './prometheus.ts';

/** Everything that is counted, at one moment or between two. */
export interface Counters {
  /** Mutations at the API server, whoever sent them, by verb and resource: `PATCH sessions/status`. */
  writes: Counts;
  /** Those of them that failed, by code and resource: `422 PATCH pods`. */
  failures: Counts;
  /** Mutations that the controller sent, by HTTP method. */
  controllerWrites: Counts;
  /** Reads that the controller sent (lists and watches included). */
  controllerReads: number;
  /** Reconciliations by loop. */
  reconciles: Counts;
  etcdPuts: number;
  cpuSeconds: number;
  /** `performance.now()`. */
  at: number;
}

const reading = new Set(['GET', 'LIST', 'WATCH', 'WATCHLIST', 'CONNECT']);

export async function readCounters(bed: Bed, controller: ControllerProcess): Promise<Counters> {
  const [server, own, etcdPuts, usage] = await Promise.all([
    bed.api.text('GET', '/metrics'),
    controller.metrics(),
    readEtcdPuts(bed),
    usageOf(controller.pid),
  ]);
  const requests = parseMetrics(server, ['apiserver_request_total']).filter(
    ({ labels }) => !reading.has(labels['verb'] ?? ''),
  );
  const sent = parseMetrics(own, ['rest_client_requests_total']);
  const isWrite = ({ labels }: Sample): boolean => labels['method'] !== 'GET';
  return {
    writes: countBy(requests, nameOf),
    failures: countBy(requests, (sample) =>
      Number(sample.labels['code']) >= 400 ? `${sample.labels['code'] ?? ''} ${nameOf(sample)}` : undefined,
    ),
    controllerWrites: countBy(sent.filter(isWrite), ({ labels }) => labels['method']),
    controllerReads: total(countBy(sent, (sample) => (isWrite(sample) ? undefined : 'reads'))),
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
    controllerWrites: increase(before.controllerWrites, after.controllerWrites),
    controllerReads: after.controllerReads - before.controllerReads,
    reconciles: increase(before.reconciles, after.reconciles),
    etcdPuts: after.etcdPuts - before.etcdPuts,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    at: after.at - before.at,
  };
}

function nameOf({ labels }: Sample): string {
  const { verb = '', resource = '', subresource = '' } = labels;
  return `${verb === 'APPLY' ? 'PATCH' : verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
}

async function readEtcdPuts(bed: Bed): Promise<number> {
  const state = await readState(bed.cluster.folder ?? '');
  const answer = await fetch(`${state?.etcdUrl ?? ''}/metrics`);
  return total(countBy(parseMetrics(await answer.text(), ['etcd_mvcc_put_total']), () => 'puts'));
}
