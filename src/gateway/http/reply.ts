import { gzipSync } from 'node:zlib';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Problem } from '../problems.ts';

/** Replies of this size are compressed for who can read that: the official client reads some of them only when they come in one piece. */
const GZIP_BYTES = 2048;
const GZIP = { 'content-encoding': 'gzip' };

/** Of a request that has been answered before all of it was there. */
const DRAIN_BYTES = 16 * 1024 * 1024;
const DRAIN_MS = 2_000;

/**
 * Answers with JSON: head and body in one write, with a length, because Pipecat's client closes some of its connections before it has
 * read what comes later.
 */
export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = Buffer.from(JSON.stringify(body));
  const isLong = text.length >= GZIP_BYTES;
  const gzip = isLong && takesGzip(request);
  const all = {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    ...(isLong && { vary: 'accept-encoding' }),
    ...(gzip && GZIP),
  };
  send(request, response, status, all, gzip ? gzipSync(text) : text);
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
    const gzip = takesGzip(request);
    const all = { ...headers, 'content-type': type, vary: 'accept-encoding', ...(gzip && GZIP) };
    send(request, response, 200, all, gzip ? compressed : plain);
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
  sendJson(request, response, problem.status, problem.body, headers);
}
