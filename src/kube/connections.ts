import { Pool } from 'undici';
import type { TlsOptions } from './credentials.ts';

/** How long an idle connection is kept: less than the 60 s of common load balancers and the 90 s of the API server. */
const keepAliveMs = 30_000;

/** How long connecting may take, TLS included. */
const connectTimeoutMs = 10_000;

/** A watch begins as soon as the server accepts it, unless its priority queue is full. */
const watchHeadersTimeoutMs = 30_000;

/**
 * The connections to one API server with one set of TLS credentials. HTTP/1.1 only: one wedged HTTP/2 session would
 * hold up everything, and undici would not replace it. Watches have a pool of their own, so that they never take a
 * connection from a request.
 */
export class Connections {
  readonly requests: Pool;
  readonly watches: Pool;

  constructor(origin: string, tls: TlsOptions, requestConnections: number) {
    const connect = { ...tls, timeout: connectTimeoutMs, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
    const common = { connect, allowH2: false, pipelining: 1, keepAliveTimeout: keepAliveMs };
    this.requests = new Pool(origin, { ...common, connections: requestConnections });
    this.watches = new Pool(origin, {
      ...common,
      connections: null,
      headersTimeout: watchHeadersTimeoutMs,
      bodyTimeout: 0,
    });
  }

  /** Lets running requests and watches end by themselves; starts no new ones. */
  async retire(): Promise<void> {
    await Promise.all([this.requests.close(), this.watches.close()]);
  }

  /** Breaks everything off. */
  async destroy(): Promise<void> {
    await Promise.all([this.requests.destroy(), this.watches.destroy()]);
  }
}
