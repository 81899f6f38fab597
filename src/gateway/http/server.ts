import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../kube/clock.ts';
import { sleep } from '../../kube/clock.ts';
import { Problem } from '../problems.ts';
import { sendProblem } from './reply.ts';

/**
 * Bounds of the server, against clients that are slow on purpose: each holds a connection and its buffers. A request must be complete
 * within `requestMs`; the answer may take longer, as that of a start or of a log that is followed does.
 */
const limits = {
  connections: 10_000,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  /** Without taking anything of an answer that is ready: until it has been taken, all of it is kept. */
  stallMs: 30_000,
  /** Requests of one connection that wait for the answer to the one before them. Hardly any client sends one ahead. */
  requestsAhead: 20,
  /** Longer than that of the load balancers in front of it, who would otherwise meet a connection that is just being closed. */
  idleMs: 75_000,
};

export interface HttpServer {
  readonly port: number;
  /**
   * Ends without dropping a request: for `drainMs` it goes on as before, because whoever routes to it learns only then that it ends, and
   * tells its clients to open no more connections to it; then it takes none, and waits for what has been asked, at most `graceMs`.
   */
  close(times: { drainMs: number; graceMs: number }): Promise<void>;
}

/** Rejects when the port cannot be had. */
export async function startHttpServer(
  listener: RequestListener,
  { port, clock }: { port: number; clock: Clock },
): Promise<HttpServer> {
  let draining = false;
  const unanswered = new Set<ServerResponse>();
  /** Requests that wait for the answer to the one before them, by connection: Node goes on reading while nothing is said. */
  const ahead = new WeakMap<Duplex, number>();
  const waitForTurn = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const waiting = (ahead.get(socket) ?? 0) + 1;
    if (waiting > limits.requestsAhead) {
      socket.destroy();
      return;
    }
    ahead.set(socket, waiting);
    response.once('socket', () => {
      ahead.set(socket, (ahead.get(socket) ?? 1) - 1);
      process.nextTick(serve, request, response);
    });
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    // It came before the one before it was answered. Its own answer would be kept until that one has been taken.
    if (response.socket === null) {
      waitForTurn(request, response);
      return;
    }
    if (draining) askToHangUp(response);
    unanswered.add(response);
    response.once('close', () => unanswered.delete(response));
    if (request.headers.host !== undefined || request.httpVersion === '1.0') listener(request, response);
    else sendProblem(request, response, new Problem('NotReadable', { error: 'A request names its host' }));
  };
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: 1_000,
      // We refuse it in our own form: Node's has no body.
      requireHostHeader: false,
    },
    serve,
  );
  // It may be ignored (RFC 9110, 10.1.1), where Node would answer without a body.
  server.on('checkExpectation', serve);
  server.maxConnections = limits.connections;
  const underWay = (socket: Duplex) => [...unanswered].filter(({ req }) => req.socket === socket);
  server.setTimeout(limits.stallMs, (socket) => {
    // What is not answered yet may take longer, and what comes bit by bit is kept only so far.
    if (underWay(socket).every(({ writableEnded }) => writableEnded)) socket.destroy();
    else socket.setTimeout(limits.stallMs);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const begun = underWay(socket).some(({ req, headersSent }) => req.complete || headersSent);
    // It is what comes after a request: said now, the refusal would be taken for the answer to that one, or be in the middle of it.
    if (begun || !socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else refuse(error, socket);
  });
  await listen(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    async close({ drainMs, graceMs }) {
      draining = true;
      for (const response of unanswered) askToHangUp(response);
      await sleep(clock, drainMs);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const cut = clock.setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      cut.cancel();
    },
  };
}

/** A client that keeps its connection when it has been answered would hold up the end for as long as that may be idle. */
function askToHangUp(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

/** What is no HTTP, or too much of it: refused as everything else is, before anybody has looked at it. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  const [status, reason] =
    {
      HPE_HEADER_OVERFLOW: ['431', 'Request Header Fields Too Large'] as const,
      ERR_HTTP_REQUEST_TIMEOUT: ['408', 'Request Timeout'] as const,
    }[error.code ?? ''] ?? (['400', 'Bad Request'] as const);
  const body = JSON.stringify({ error: reason, code: status });
  const head = `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${head}\r\n\r\n${body}`);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
