import type { GatewayProcess } from '../support/gateway-process.ts';
import { usageOf } from './process-usage.ts';
import { countBy, parseMetrics, total } from './prometheus.ts';

/** What a gateway has done, up to one moment or between two. */
export interface GatewayCounters {
  cpuSeconds: number;
  /** Requests that it sent to the API server, watches included. */
  apiRequests: number;
}

/** The counters, and what the process holds at this moment. */
export async function readGatewayCounters(
  gateway: GatewayProcess,
): Promise<GatewayCounters & { rssMiB: number; anonMiB: number }> {
  const [metrics, { cpuSeconds, rssMiB, anonMiB }] = await Promise.all([gateway.metrics(), usageOf(gateway.pid)]);
  const samples = parseMetrics(metrics, ['rest_client_requests_total']);
  return { cpuSeconds, apiRequests: total(countBy(samples, () => 'all')), rssMiB, anonMiB };
}

export function since(before: GatewayCounters, after: GatewayCounters): GatewayCounters {
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    apiRequests: after.apiRequests - before.apiRequests,
  };
}
