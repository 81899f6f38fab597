import type { Dispatcher } from 'undici';
import type { WatchEvent } from './api.ts';
import { openStream, type StreamRequest } from './byte-stream.ts';
import { clientError } from './errors.ts';
import { LineSplitter } from './line-splitter.ts';
import type { KubeObject } from './objects.ts';

/** etcd stores at most 1.5 MB per object; JSON escapes may swell that. */
const maxLineBytes = 16 * 1024 * 1024;

/**
 * Opens a watch and yields its events. Whoever stops iterating, or aborts the signal, closes the connection.
 * No silence is too long here: whoever reads must decide when a watch is dead.
 */
export async function* openWatch<T extends KubeObject>(
  dispatcher: Dispatcher,
  request: StreamRequest,
): AsyncGenerator<WatchEvent<T>> {
  const lines = new LineSplitter(maxLineBytes);
  for await (const chunk of openStream(dispatcher, request)) yield* parseEvents<T>(lines, chunk, request.what);
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
