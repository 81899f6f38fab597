import { gzip, gzipSync } from 'node:zlib';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Problem } from '../problems.ts';

/** Replies of this size are compressed for who can read that: the official client reads some of them only when they come in one piece. */
const GZIP_BYTES = 2048;
/** What is larger is compressed beside all else: it takes a thread so long that others would notice. */
const GZIP_SYNC_BYTES = 64 * 1024;
const GZIP = { 'content-encoding': 'gzip' };

/** Of a request that has been answered before all of it was there. */
const DRAIN_BYTES = 16 * 1024 * 1024;
const DRAIN_MS = 2_000;

/** What is smaller needs no room: the buffers of its connection take it. */
const HELD_BYTES = 16 * 1024;

interface ReplyOptions {
  headers?: Readonly<Record<string, string>> | undefined;
  /** Told how large a large reply is, before anything of it is sent; may throw, when there is no room for it. */
  hold?: ((bytes: number) => void) | undefined;
}

/**
 * Answers with JSON: head and body in one write, with a length, because Pipecat's client closes some of its connections before it has
 * read what comes later.
 */
export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: unknown,
  { headers = {}, hold }: ReplyOptions = {},
): void {
  const text = Buffer.from(JSON.stringify(body));
  if (text.length > HELD_BYTES) hold?.(text.length);
  const isLong = text.length >= GZIP_BYTES;
  const all = {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    ...(isLong && { vary: 'accept-encoding' }),
  };
  if (!isLong || !takesGzip(request)) {
    send(request, response, status, all, text);
    return;
  }
  const sendCompressed = (bytes: Buffer): void => send(request, response, status, { ...all, ...GZIP }, bytes);
  if (text.length <= GZIP_SYNC_BYTES) {
    sendCompressed(gzipSync(text));
    return;
  }
  gzip(text, (error, bytes) => {
    if (error !== null) response.destroy(error);
    else if (!response.destroyed) sendCompressed(bytes);
  });
}

/** Answers everybody with the same: it is compressed once, because anybody may ask for it as often as they like. */
export function fixedReply(
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const plain = Buffer.from(text);
  const compressed = gzipSync(plain);
  return (request, response) => {
    const small = takesGzip(request);
    const all = { ...headers, 'content-type': type, vary: 'accept-encoding', ...(small && GZIP) };
    send(request, response, 200, all, small ? compressed : plain);
  };
}

function takesGzip({ headers }: IncomingMessage): boolean {
  return /\bgzip\b/.test(headers['accept-encoding'] ?? '');
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  bytes: Buffer,
): void {
  response.writeHead(status, {
    ...headers,
    'content-length': bytes.length,
    ...(!request.complete && { connection: 'close' }),
  });
  const sent = request.method === 'HEAD' ? '' : bytes;
  if (request.complete) {
    response.end(sent);
    return;
  }
  // To close a connection on which more comes would take the answer away from who is still sending.
  response.write(sent);
  void drain(request).then(() => response.end());
}

/** Reads what else comes, and forgets it, until it is over or has been enough. */
async function drain(request: IncomingMessage): Promise<void> {
  const enough = AbortSignal.timeout(DRAIN_MS);
  let bytes = 0;
  await new Promise<void>((resolve) => {
    const end = (): void => resolve();
    enough.addEventListener('abort', end, { once: true });
    for (const event of ['end', 'close', 'error']) request.once(event, end);
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > DRAIN_BYTES) end();
    });
    request.resume();
  });
  request.removeAllListeners('data').pause();
}

/** Answers with a problem. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
  const { retryAfterSeconds } = problem;
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterSeconds)) };
  sendJson(request, response, problem.status, problem.body, { headers });
}
