import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { bindRequest, bodyDigest, type BindRequest } from './wire.ts';
import type { Verifier } from './verifier.ts';
import type { BoundSession } from './session.ts';
import { Caller, refuseUpgrade } from './caller.ts';

/** A body of 1 MB in base64, and room for the rest. */
const MAX_BIND_BYTES = 2 * 1024 * 1024;

/** How long `PUT /session` waits for the agent before it says that it still waits. */
const BIND_WAIT_MS = 8_000;

export interface SupervisorServerDeps {
  verifier: Verifier;
  /** The session that this pod serves; undefined until it is bound. */
  session: () => BoundSession | undefined;
  bind: (request: BindRequest) => BoundSession;
  /** Whether the agent can take a session. */
  agentReady: () => Promise<boolean>;
}

interface Context extends SupervisorServerDeps {
  /** Sessions that were told to end before they were bound: the request that binds one may have been overtaken. */
  stopped: Set<string>;
}

/**
 * The HTTP side. Nothing is read of a request before its signature is checked, and nothing that anybody sends can end the
 * process or begin a second session.
 */
export function createSupervisorServer(given: SupervisorServerDeps): Server {
  const deps: Context = { ...given, stopped: new Set() };
  const server = createServer(
    {
      maxHeaderSize: 16 * 1024,
      requestTimeout: 15_000,
      headersTimeout: 5_000,
      keepAliveTimeout: 5_000,
      // A WebSocket may say nothing for hours; only probes tell a dead peer from a silent one.
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    },
    (message, response) => {
      handle(deps, message, response).catch(() => {
        if (response.headersSent) response.destroy();
        else reply(response, 500, { error: 'internal error', code: 'Internal' });
      });
    },
  );
  server.maxConnections = 256;
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Nobody else listens to it any more; it closes by itself.
    socket.on('error', () => undefined);
    upgrade(deps, message, socket, head).catch(() => socket.destroy());
  });
  return server;
}

async function handle(deps: Context, message: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (`${message.method ?? ''} ${pathOf(message)}`) {
    case 'GET /livez':
      reply(response, 200, { ok: true });
      return;
    case 'GET /readyz': {
      // Once it is bound, a blocked agent must not be taken for an unhealthy pod.
      const ready = deps.session() !== undefined || (await deps.agentReady());
      reply(response, ready ? 200 : 503, { ok: ready });
      return;
    }
    case 'PUT /session':
      await bind(deps, message, response);
      return;
    case 'DELETE /session':
      await stop(deps, message, response);
      return;
    default:
      refuse(message, response, 404, 'NotFound', 'there is nothing here');
  }
}

/** `GET /ws`: the WebSocket of the session, for whoever has a token of the gateway's for it. */
async function upgrade(
  deps: SupervisorServerDeps,
  message: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const isWebSocket = message.headers.upgrade?.toLowerCase() === 'websocket';
  if (message.method !== 'GET' || pathOf(message) !== '/ws' || !isWebSocket) {
    refuseUpgrade(socket, 404, 'NotFound', 'there is nothing here');
    return;
  }
  const claims = await deps.verifier.verify(message.headers.authorization, 'ws');
  if (claims === undefined) {
    refuseUpgrade(socket, 401, 'Unauthorized', 'no valid token for this pod');
    return;
  }
  const session = deps.session();
  if (session === undefined) {
    refuseUpgrade(socket, 409, 'NotBound', 'this pod has no session yet');
    return;
  }
  if (session.uid !== claims.sub) {
    refuseUpgrade(socket, 409, 'AnotherSession', 'this pod does not serve that session');
    return;
  }
  const caller = new Caller(message.headers, socket, head);
  const why = session.connect(caller);
  if (why !== undefined) caller.refuse(409, 'NoWebSocket', why);
}

async function bind(deps: Context, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const claims = await deps.verifier.verify(message.headers.authorization, 'bind');
  if (claims === undefined) {
    refuse(message, response, 401, 'Unauthorized', 'no valid token for this pod');
    return;
  }
  const body = await readBody(message, MAX_BIND_BYTES);
  if (body === undefined) {
    refuse(message, response, 413, 'TooLarge', `more than ${MAX_BIND_BYTES} bytes`);
    return;
  }
  if (claims.body !== bodyDigest(body)) {
    refuse(message, response, 401, 'Unauthorized', 'the token is for another request');
    return;
  }
  const request = parseBind(body);
  if (request === undefined || request.uid !== claims.sub) {
    refuse(message, response, 400, 'Invalid', 'not a valid session');
    return;
  }
  if (deps.stopped.has(request.uid)) {
    reply(response, 200, { state: 'over' });
    return;
  }
  // No await between the look and the bind: two requests cannot both find the pod free.
  const session = deps.session() ?? deps.bind(request);
  if (session.uid !== request.uid) {
    refuse(message, response, 409, 'AnotherSession', 'this pod serves another session');
    return;
  }
  await session.settled(BIND_WAIT_MS);
  reply(response, session.reply.state === 'waiting' ? 202 : 200, session.reply);
}

async function stop(deps: Context, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const claims = await deps.verifier.verify(message.headers.authorization, 'stop');
  if (claims === undefined) {
    refuse(message, response, 401, 'Unauthorized', 'no valid token for this pod');
    return;
  }
  const session = deps.session();
  if (session === undefined) {
    deps.stopped.add(claims.sub);
    reply(response, 200, { state: 'over' });
    return;
  }
  if (session.uid !== claims.sub) {
    refuse(message, response, 409, 'AnotherSession', 'this pod does not serve that session');
    return;
  }
  // The answer first, for the process ends with the session; but nobody who does not take it may keep the session running.
  response.once('close', () => session.end('Stopped'));
  reply(response, 200, { state: 'over' });
}

function pathOf(message: IncomingMessage): string {
  return (message.url ?? '').split('?', 1)[0] ?? '';
}

function parseBind(body: Buffer): BindRequest | undefined {
  try {
    return bindRequest.parse(JSON.parse(body.toString('utf8')));
  } catch {
    return undefined;
  }
}

/** The whole body, or undefined when it is longer than that. */
async function readBody(message: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Refuses without reading what else the client wants to send. */
function refuse(message: IncomingMessage, response: ServerResponse, status: number, code: string, error: string): void {
  if (!message.complete) response.setHeader('connection', 'close');
  reply(response, status, { error, code });
}

function reply(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
