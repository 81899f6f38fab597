import type { Dispatcher } from 'undici';
import type { WatchEvent } from './api.ts';
import { abortable } from './clock.ts';
import { clientError, errorFromAnswer } from './errors.ts';
import { LineSplitter } from './line-splitter.ts';
import type { KubeObject } from './objects.ts';

/** etcd stores at most 1.5 MB per object; JSON escapes may swell that. */
const maxLineBytes = 16 * 1024 * 1024;

/** How much of an error's body is read. */
const maxErrorBytes = 64 * 1024;

export interface WatchRequest {
  /** Says in errors which call it was. */
  what: string;
  path: string;
  headers: Record<string, string>;
  signal: AbortSignal;
  /** Told the HTTP status, or `<error>` when there was none. */
  onAnswer: (code: number | '<error>') => void;
}

/**
 * Opens a watch and yields its events. Whoever stops iterating, or aborts the signal, closes the connection.
 * No silence is too long here: whoever reads must decide when a watch is dead.
 */
export async function* openWatch<T extends KubeObject>(
  dispatcher: Dispatcher,
  { what, path, headers, signal, onAnswer }: WatchRequest,
): AsyncGenerator<WatchEvent<T>> {
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
  const lines = new LineSplitter(maxLineBytes);
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await iterator.next().catch((error: unknown) => {
        throw fail(error);
      });
      if (next.done === true) return;
      yield* parseEvents<T>(lines, next.value, what);
    }
  } finally {
    answer.body.on('error', () => undefined).destroy();
  }
}

function* parseEvents<T extends KubeObject>(
  lines: LineSplitter,
  chunk: Buffer,
  what: string,
): Generator<WatchEvent<T>> {
  const events = lines.push(chunk);
  for (;;) {
    let event: WatchEvent<T>;
    try {
      const next = events.next();
      if (next.done === true) return;
      if (next.value.trim() === '') continue;
      event = JSON.parse(next.value) as WatchEvent<T>;
    } catch (error) {
      throw clientError(what, 'InvalidAnswer', 'unknown', error);
    }
    yield event;
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
