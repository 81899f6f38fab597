import { gzipSync } from 'node:zlib';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Problem } from '../problems.ts';

/** Replies of this size are compressed for who can read that: the official client reads some of them only when they come in one piece. */
const GZIP_BYTES = 2048;

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
  const gzip = text.length >= GZIP_BYTES && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  const bytes = gzip ? gzipSync(text) : text;
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
    ...(text.length >= GZIP_BYTES && { vary: 'accept-encoding' }),
    ...(gzip && { 'content-encoding': 'gzip' }),
    // What has not been read of the request is not read any more.
    ...(!request.complete && { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** Answers with a problem. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
  const { retryAfterSeconds } = problem;
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterSeconds)) };
  sendJson(request, response, problem.status, problem.body, headers);
}
