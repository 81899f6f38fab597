import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { KubeError } from '../../kube/errors.ts';
import { systemClock } from '../../kube/clock.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { Problem } from '../problems.ts';
import { sendLines } from './send-lines.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers with these lines; and what that came to. */
async function serve(
  lines: AsyncIterable<unknown>,
  { stop = new AbortController(), clock = systemClock } = {},
): Promise<{ url: string; told: Promise<Problem | undefined> }> {
  const told = Promise.withResolvers<Problem | undefined>();
  const server = createServer((_request, response) => {
    response.on('close', () => stop.abort());
    sendLines(response, lines, { signal: stop.signal, clock }).then(told.resolve, told.reject);
  }).listen(0);
  servers.push(server);
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, told: told.promise };
}

/** Lines that come when they are pushed. */
function feed(): { lines: AsyncIterable<unknown>; push: (line: unknown) => void; fail: (error: Error) => void } {
  let control: ReadableStreamDefaultController<unknown> | undefined;
  const stream = new ReadableStream<unknown>({ start: (controller) => void (control = controller) });
  return { lines: stream, push: (line) => control?.enqueue(line), fail: (error) => control?.error(error) };
}

describe('a reply of lines', () => {
  it('has each in one line as it comes, and ends with them', async () => {
    const { url, told } = await serve(
      (async function* () {
        yield { log: 'one\ntwo' };
        yield await Promise.resolve({ log: 'three' });
      })(),
    );
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    expect(await response.text()).toBe('{"log":"one\\ntwo"}\n{"log":"three"}\n');
    expect(await told).toBeUndefined();
  });

  it('has its head before there is any line', async () => {
    const { lines } = feed();
    const { url } = await serve(lines);
    expect((await fetch(url)).status).toBe(200);
  });

  it('says last why it was broken off', async () => {
    const stop = new AbortController();
    const { url, told } = await serve(
      (async function* () {
        yield 1;
        await once(stop.signal, 'abort');
        throw stop.signal.reason;
      })(),
      { stop },
    );
    const response = await fetch(url);
    stop.abort(new Problem('Unauthorized'));
    expect(await response.text()).toBe('1\n{"error":"Unauthorized / token expired","code":"401"}\n');
    expect((await told)?.kind).toBe('Unauthorized');
  });

  it('says of an error no more than any other reply does', async () => {
    const { lines, push, fail } = feed();
    const { url, told } = await serve(lines);
    const response = await fetch(url);
    push(1);
    fail(new KubeError('GET /secret/path: no', { code: 503, reason: 'ServiceUnavailable', outcome: 'refused' }));
    expect(await response.text()).toMatch(/^1?\n?\{"error":"The cluster does not answer[^}]*","code":"503"\}\n$/);
    expect((await told)?.kind).toBe('Unavailable');
  });

  it('says now and then that it goes on', async () => {
    const clock = new FakeClock();
    const { lines } = feed();
    const { url } = await serve(lines, { clock });
    const response = await fetch(url);
    clock.advance(20_000);
    const first = await response.body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe('\n');
  });

  it('waits for a caller who does not read, and ends with one who hangs up', async () => {
    let made = 0;
    const { url, told } = await serve(
      (async function* () {
        for (;;) yield await Promise.resolve({ number: (made += 1), text: 'x'.repeat(10_000) });
      })(),
    );
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'readable');
    // As many as the buffers of the connection hold, and no more.
    let before = -1;
    await expect
      .poll(() => [before, (before = made)].every((count) => count === made && made > 0), { interval: 200 })
      .toBe(true);
    expect(made).toBeLessThan(5000);
    socket.destroy();
    expect(await told).toBeUndefined();
  });
});
