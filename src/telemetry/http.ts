import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import type { Registry } from 'prom-client';
import { runChecks, type Check } from './checks.ts';
import type { Logger } from './logger.ts';

export interface HealthServerOptions {
  /** 0 takes any free port (tests). */
  readonly port: number;
  /** Address to listen on; all of them, IPv4 and IPv6, when not given. */
  readonly host?: string;
  readonly registry: Registry;
  /** When one fails, the kubelet restarts the container: only for what a restart cures. */
  readonly live: readonly Check[];
  /** When one fails, the pod gets no traffic and a rollout waits: caches synced, or standby. */
  readonly ready: readonly Check[];
  readonly logger: Logger;
}

export interface HealthServer {
  /** The port that is listened on. */
  readonly port: number;
  /** Answers what has been asked, then closes; cuts what is left after `graceMs` (default 2000). */
  close(graceMs?: number): Promise<void>;
}

/**
 * Bounds of the server: a probe or a scrape is one small request. Slow or idle clients are cut, so that they cannot
 * hold the connections that the kubelet's probes need.
 */
const limits = {
  connections: 256,
  headerBytes: 8 * 1024,
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 15_000,
};

/** Serves `/healthz`, `/readyz` and `/metrics`. Rejects when the port cannot be had. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: limits.headersMs,
    },
    createHealthApp(options),
  );
  server.maxConnections = limits.connections;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMs = 2_000) => close(server, graceMs),
  };
}

/** The routes, without a server. */
function createHealthApp(options: Omit<HealthServerOptions, 'port' | 'host'>): Express {
  const { registry, live, ready, logger } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(onlyReads);
  app.get('/healthz', report(live));
  app.get('/readyz', report(ready));

  const render = shared(() => registry.metrics());
  app.get('/metrics', async (_request, response) => {
    const text = await render();
    response.set('Content-Type', registry.contentType).send(text);
  });

  app.use((_request, response) => {
    response.status(404).type('text/plain').send('Not found. There is /healthz, /readyz and /metrics.\n');
  });
  const onError: ErrorRequestHandler = (error: unknown, request, response, next) => {
    logger.error({ err: error, path: request.path }, 'cannot answer a request to the health server');
    if (response.headersSent) {
      next(error);
      return;
    }
    response.status(500).type('text/plain').send('Internal error. The log of this program says more.\n');
  };
  app.use(onError);
  return app;
}

const onlyReads: RequestHandler = (request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  if (request.method === 'GET' || request.method === 'HEAD') next();
  else response.status(405).set('Allow', 'GET, HEAD').type('text/plain').send('Only GET and HEAD are allowed.\n');
};

function report(checks: readonly Check[]): RequestHandler {
  return (_request, response) => {
    const { ok, text } = runChecks(checks);
    response
      .status(ok ? 200 : 503)
      .type('text/plain')
      .send(text);
  };
}

/** Callers that come while `work` runs share its result: many scrapers at once cost as much as one. */
function shared(work: () => Promise<string>): () => Promise<string> {
  let running: Promise<string> | undefined;
  return () => (running ??= work().finally(() => (running = undefined)));
}

function listen(server: Server, { port, host }: HealthServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    // Connections without a request are closed by close() itself.
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
