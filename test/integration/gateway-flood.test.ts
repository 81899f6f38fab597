import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Socket } from 'node:net';
import { Pool } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { usageOf } from '../bench/process-usage.ts';
import { summarize } from '../bench/statistics.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { AGENT, ask, knownKey, LARGE, onlyLeft, PATIENT, readyAgent, replicas, START } from '../support/rest.ts';
import { Stage } from '../support/stage.ts';

/** More than the gateway can take, or wants to. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'gwflood', { nodes: 4 });
});
afterAll(() => stage?.close());

const STARTS = 1_000;
const CAP = 50;
const CONNECTIONS = 200;

/** What refused starts leave is gone after 5 s; a machine may be much slower. */
const GONE_MS = 30_000;

test('of 1,000 starts as many succeed as there are places, and the others are refused and leave nothing', async () => {
  const scene = await stage.scene('full');
  const [pair] = await Promise.all([replicas(scene, 2, { config: PATIENT }), scene.leader()]);
  await readyAgent(scene, CAP);
  const key = await knownKey(scene, pair);
  const pools = pair.map(({ origin }) => new Pool(origin, { connections: CONNECTIONS / pair.length }));
  const answers: (Awaited<ReturnType<typeof ask>> & { ms: number })[] = [];
  let asked = 0;
  const caller = async (number: number): Promise<void> => {
    const pool = pools[number % pools.length] as Pool;
    while (asked < STARTS) {
      const index = asked++;
      const since = performance.now();
      // Every tenth has a body that goes by way of a Secret.
      const body = index % 10 === 0 ? LARGE : { body: { index } };
      const answer = await ask(pool, 'POST', START, { key, body });
      answers.push({ ...answer, ms: performance.now() - since });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, number) => caller(number)));
  const started = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status === 429);
  expect({ started: started.length, refused: refused.length }).toEqual({ started: CAP, refused: STARTS - CAP });
  for (const { headers, body } of refused) {
    expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
    const text: unknown = expect.any(String);
    expect(body).toMatchObject({ code: 'PCC-AGENT-AT-CAPACITY', status: 429, error: text, message: text });
  }
  const ids = started.map(({ body }) => String(body['sessionId']));
  const goneAfter = await onlyLeft(scene, ids, GONE_MS);
  const { p50, p99 } = summarize(refused.map(({ ms }) => ms));
  const times = `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`;
  console.log(
    `429 at ${String(CONNECTIONS)} connections: ${times}; nothing of them left after ${String(goneAfter)} ms`,
  );
  // At no revision were there more.
  const { violations, podsCreated, peaks } = await scene.replay();
  expect({ violations, podsCreated, peak: peaks[AGENT]?.pods }).toEqual({
    violations: [],
    podsCreated: CAP,
    peak: CAP,
  });
  await Promise.all(pools.map((pool) => pool.close()));
});

/** Sends this, bit by bit, until the other side has had enough of it. Resolves with what it said, and after how many seconds it hung up. */
async function dribble(
  gateway: GatewayProcess,
  begin: string,
  part: string,
): Promise<{ said: string; seconds: number }> {
  const since = performance.now();
  const socket = open(gateway);
  let said = '';
  socket.on('data', (chunk) => (said += chunk.toString()));
  const over = new Promise<void>((resolve) => socket.once('close', resolve));
  socket.write(begin);
  const timer = setInterval(() => socket.write(part), 500);
  await over;
  clearInterval(timer);
  return { said, seconds: (performance.now() - since) / 1000 };
}

/** A connection whose other side may break it at any moment. */
function open({ origin }: GatewayProcess): Socket {
  const { hostname, port } = new URL(origin);
  return connect({ host: hostname, port: Number(port) }).on('error', () => undefined);
}

describe.concurrent('a gateway', () => {
  test('cuts those off who are slow on purpose, and serves the others meanwhile', async () => {
    const scene = await stage.scene('slow');
    const gateway = await scene.gateway({ config: PATIENT });
    const [key, own] = [await knownKey(scene, [gateway]), await knownKey(scene, [gateway], 'Private')];
    const post = `POST ${START} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${key}\r\n`;
    await scene.httpAgent(AGENT, 1);
    await gateway.answers('GET', '/v1/agents', { key: own }, { body: { services: [{ name: AGENT }] } });
    const many = <T>(make: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 150 }, make));
    const slow = Promise.all([
      many(() => dribble(gateway, post, 'x')),
      many(() => dribble(gateway, `${post}content-length: 100000\r\n\r\n{"body": "`, 'x')),
      many(() => dribble(gateway, `${post}transfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n')),
    ]);
    let cut = false;
    const served: number[] = [];
    const client = async (): Promise<void> => {
      while (!cut) {
        const since = performance.now();
        expect(await gateway.call('GET', '/v1/agents', { key: own })).toMatchObject({ status: 200 });
        served.push(performance.now() - since);
        await sleep(100);
      }
    };
    const others = client();
    const [heads, bodies, chunks] = await slow;
    cut = true;
    await others;
    // They have 10 s for the head and 30 s for all of it; the rest is for a machine that is slow.
    for (const [{ said, seconds }, limit] of [
      ...heads.map((one) => [one, 10] as const),
      ...[...bodies, ...chunks].map((one) => [one, 30] as const),
    ]) {
      expect(said).toMatch(/^(HTTP\/1.1 408 [^]*"code":"408"|$)/);
      expect(seconds).toBeGreaterThan(limit - 1);
      expect(seconds).toBeLessThan(limit + 15);
    }
    console.log(
      `beside slow clients: ${String(served.length)} served, the slowest in ${Math.max(...served).toFixed(0)} ms`,
    );
    expect(served.length).toBeGreaterThan(30);
  });

  test.for(['with its length', 'in chunks'] as const)(
    'does not keep bodies of 10 MB that come on 200 connections %s',
    async (how) => {
      const scene = await stage.scene(`large-${how.replaceAll(' ', '-')}`);
      const gateway = await scene.gateway({ config: PATIENT });
      const [key, own] = [await knownKey(scene, [gateway]), await knownKey(scene, [gateway], 'Private')];
      await scene.httpAgent(AGENT, 1);
      await gateway.answers('GET', '/v1/agents', { key: own }, { body: { services: [{ name: AGENT }] } });
      const before = (await usageOf(gateway.pid)).rssMiB;
      let sending = true;
      let most = 0;
      const watch = (async () => {
        while (sending) {
          most = Math.max(most, (await usageOf(gateway.pid)).rssMiB);
          await sleep(20);
        }
      })();
      const answers = await Promise.all(Array.from({ length: CONNECTIONS }, () => sendLarge(gateway, key, how)));
      sending = false;
      await watch;
      const counts = Object.groupBy(answers, (answer) => answer);
      const told = Object.entries(counts).map(([answer, { length = 0 } = []]) => `${String(length)} × ${answer}`);
      console.log(`10 MB ${how}: ${told.join(', ')}; ${before.toFixed(0)} MiB before, ${most.toFixed(0)} MiB at most`);
      // Too large, or too many at one time.
      expect(Object.keys(counts).filter((answer) => !/^(413|503)$/.test(answer))).toEqual([]);
      // What comes and is thrown away takes 90 to 160 MiB until it is collected. The first MB of each would take 190 MiB more.
      expect(most - before).toBeLessThan(250);
      expect(await gateway.call('GET', '/v1/agents', { key: own })).toMatchObject({ status: 200 });
    },
  );
});

/** Sends a start of 10 MB for as long as it is taken; the status that it is answered with. */
async function sendLarge(gateway: GatewayProcess, key: string, how: 'with its length' | 'in chunks'): Promise<string> {
  const socket = open(gateway);
  let said = '';
  socket.on('data', (chunk) => (said += chunk.toString()));
  const over = new Promise<void>((resolve) => socket.once('close', resolve));
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const chunked = how === 'in chunks';
  const size = chunked ? 'transfer-encoding: chunked' : `content-length: ${String(160 * chunk.length)}`;
  socket.write(`POST ${START} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${key}\r\n${size}\r\n\r\n`);
  const framed = chunked ? Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]) : chunk;
  for (let sent = 0; sent < 160 && socket.writable; sent += 1) {
    if (socket.write(framed)) continue;
    await Promise.race([over, new Promise((resolve) => socket.once('drain', resolve))]);
  }
  if (chunked) socket.write('0\r\n\r\n');
  await over;
  return /^HTTP\/1.1 (\d+)/.exec(said)?.[1] ?? 'nothing';
}
