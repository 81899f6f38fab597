import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { sleep, type Clock } from '../../kube/clock.ts';
import { Problem } from '../problems.ts';
import { problemOf } from './problem-of.ts';

/** Proxies give up on a connection on which nothing happens, most of them after a minute. */
const BEAT_MS = 20_000;

/**
 * Answers with what comes, one JSON value in a line, for as long as it comes. In silence an empty line now and then says that it goes on.
 * What ends it before its time is the last line: an error as every other reply has it.
 *
 * @param signal aborted when the caller has gone, or, with a Problem for its reason, when they are to hear no more
 * @returns what went wrong, if anything did that the caller was told of
 */
export async function sendLines(
  response: ServerResponse,
  lines: AsyncIterable<unknown>,
  { signal, clock }: { signal: AbortSignal; clock: Clock },
): Promise<Problem | undefined> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' }).flushHeaders();
  const over = new AbortController();
  void beat(response, clock, over.signal);
  try {
    for await (const line of lines) {
      const hasRoom = response.write(`${JSON.stringify(line)}\n`);
      if (!hasRoom) await once(response, 'drain', { signal });
      signal.throwIfAborted();
    }
    response.end();
    return undefined;
  } catch (error) {
    if (response.destroyed) return undefined;
    const reason: unknown = signal.reason;
    const problem = reason instanceof Problem ? reason : problemOf(error);
    response.end(`${JSON.stringify(problem.body)}\n`);
    return problem;
  } finally {
    over.abort();
  }
}

async function beat(response: ServerResponse, clock: Clock, over: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(clock, BEAT_MS, over);
      // Whoever does not read need not be told more.
      if (!response.writableNeedDrain) response.write('\n');
    }
  } catch {
    // It is over.
  }
}
