import type { Dispatcher } from 'undici';
import { abortable } from './clock.ts';
import { clientError, errorFromAnswer } from './errors.ts';

/** How much of an error's body is read. */
const maxErrorBytes = 64 * 1024;

export interface StreamRequest {
  /** Says in errors which call it was. */
  what: string;
  path: string;
  headers: Record<string, string>;
  signal: AbortSignal;
  /** Told the HTTP status, or `<error>` when there was none. */
  onAnswer: (code: number | '<error>') => void;
}

/**
 * A GET whose answer comes bit by bit: a watch, or a log. Whoever stops iterating, or aborts the signal, closes the connection.
 * No silence is too long here: whoever reads must decide when the other side is dead.
 */
export async function* openStream(
  dispatcher: Dispatcher,
  { what, path, headers, signal, onAnswer }: StreamRequest,
): AsyncGenerator<Buffer> {
  const fail = (error: unknown): Error =>
    clientError(what, signal.aborted ? 'Aborted' : 'ConnectionLost', 'unknown', error);
  let answer: Dispatcher.ResponseData;
  try {
    // undici notices an abort only once the connection is there; nobody should have to wait for that.
    answer = await abortable(dispatcher.request({ method: 'GET', path, headers, signal }), signal);
  } catch (error) {
    onAnswer('<error>');
    throw fail(error);
  }
  onAnswer(answer.statusCode);
  const chunks = answer.body as AsyncIterable<Buffer>;
  if (answer.statusCode !== 200) {
    const retryAfter = answer.headers['retry-after'];
    const text = await readSome(chunks).catch(() => '');
    throw errorFromAnswer(what, answer.statusCode, text, typeof retryAfter === 'string' ? retryAfter : undefined);
  }
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await iterator.next().catch((error: unknown) => {
        throw fail(error);
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    answer.body.on('error', () => undefined).destroy();
  }
}

/** The beginning of an error's body. */
async function readSome(chunks: AsyncIterable<Buffer>): Promise<string> {
  const read: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    read.push(chunk);
    bytes += chunk.length;
    if (bytes >= maxErrorBytes) break; // leaving the loop closes the connection
  }
  return Buffer.concat(read).toString('utf8', 0, maxErrorBytes);
}
