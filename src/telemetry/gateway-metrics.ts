import type { Registry } from 'prom-client';
import { gatewayCatalogue, registerCatalogue } from './catalogue.ts';

/** How a request of the REST API went. */
export interface AnsweredRequest {
  /** The pattern of its path; empty when there is none such. */
  route: string;
  method: string;
  /** Status of the answer; 499 when the caller had gone before it. */
  status: number;
  /** Until the last byte was given to the connection. */
  seconds: number;
}

/** What the gateway reports. Each method is one fact; all are synchronous and never throw. */
export interface GatewayMetrics {
  requestBegan(): void;
  requestEnded(request: AnsweredRequest): void;
  /** A start was answered with a session, `seconds` after it was asked for. */
  started(start: 'warm' | 'cold', seconds: number): void;
  /** A start was refused, for a reason of the catalogue of problems. */
  startRefused(reason: string): void;
}

/** Anybody may send any method; only these have series of their own. */
const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']);

/** Registers the gateway's metrics. */
export function createGatewayMetrics(registry: Registry): GatewayMetrics {
  const metrics = registerCatalogue(gatewayCatalogue, registry);
  return {
    requestBegan: () => metrics.requestsInFlight.inc(),
    requestEnded({ route, method, status, seconds }) {
      metrics.requestsInFlight.dec();
      const labels = { route, method: METHODS.has(method) ? method : 'other' };
      metrics.requests.inc({ ...labels, code: String(status) });
      metrics.requestDuration.observe(labels, seconds);
    },
    started: (start, seconds) => metrics.starts.observe({ start }, seconds),
    startRefused: (reason) => metrics.startsRefused.inc({ reason }),
  };
}
