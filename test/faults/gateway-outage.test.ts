import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { knownKey, LARGE, onlyLeft, PATIENT, readyAgent, START } from '../support/rest.ts';
import { Stage } from '../support/stage.ts';

/** The API server is away while people start sessions over REST: they are told so, and then it goes on by itself. */
const cluster: Cluster = await connectCluster();
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(cluster, 'gwoutage', { nodes: 4 });
});
afterAll(() => stage?.close());

const AWAY_MS = 10_000;
/** How long a start may take; a read has 10 s of its own. */
const START_SECONDS = 20;
/** For a machine that is slow. */
const MARGIN_MS = 5_000;

interface Answer {
  what: string;
  status: number;
  body: Record<string, unknown>;
  retryAfter: string | null;
  askedAt: number;
  ms: number;
}

test.skipIf(cluster.provider !== 'binaries')(
  'while the API server is away for 10 s everybody is answered in time, and nothing is started without an answer',
  async () => {
    const scene = await stage.scene('away');
    const config = { ...PATIENT, start: { timeoutSeconds: START_SECONDS } };
    const gateway = await scene.gateway({ config });
    await scene.keepRunning();
    await readyAgent(scene, 1_000);
    const [key, own] = [await knownKey(scene, [gateway]), await knownKey(scene, [gateway], 'Private')];

    const answers: Answer[] = [];
    let asking = true;
    const ask = async (what: string, ...request: Parameters<typeof gateway.call>): Promise<void> => {
      const askedAt = Date.now();
      const { status, body, headers } = await gateway.call(...request);
      const retryAfter = headers.get('retry-after');
      answers.push({ what, status, body, retryAfter, askedAt, ms: Date.now() - askedAt });
    };
    const keepAsking = async (...request: Parameters<typeof ask>): Promise<void> => {
      while (asking) {
        await ask(...request);
        await sleep(150);
      }
    };
    const callers = Promise.all([
      keepAsking('start', 'POST', START, { key, body: { body: 'x' } }),
      keepAsking('start', 'POST', START, { key, body: { body: 'x' } }),
      keepAsking('start', 'POST', START, { key, body: LARGE }),
      keepAsking('cached', 'GET', '/v1/agents', { key: own }),
      keepAsking('cached', 'GET', '/v1/agents/echo/sessions', { key: own }),
      keepAsking('asked for', 'GET', '/v1/secrets', { key: own }),
      keepAsking('asked for', 'GET', `/v1/agents/echo/sessions/${randomUUID()}`, { key: own }),
    ]);
    const isStarted = (since: number): boolean =>
      answers.some(({ what, status, askedAt }) => what === 'start' && status === 200 && askedAt > since);
    const starts = { what: 'a start to succeed', timeoutMs: 90_000, intervalMs: 20 };
    await waitFor(() => Promise.resolve(isStarted(0)), starts);

    await cluster.stopApiServer();
    const stoppedAt = Date.now();
    // Those who asked before may be waiting: these are new.
    const newcomers: Promise<void>[] = [];
    while (Date.now() < stoppedAt + AWAY_MS) {
      newcomers.push(ask('start', 'POST', START, { key, body: newcomers.length % 2 === 0 ? LARGE : { body: 'x' } }));
      await sleep(500);
    }
    const startedAt = Date.now();
    await cluster.startApiServer();
    const backAt = Date.now();
    await waitFor(() => Promise.resolve(isStarted(backAt)), starts);
    console.log(`the first start succeeded ${String(Date.now() - backAt)} ms after the API server was back`);
    asking = false;
    await Promise.all([callers, ...newcomers]);

    const expected = { start: [200, 503, 504], cached: [200], 'asked for': [200, 404, 503] } as Record<
      string,
      number[]
    >;
    for (const { what, status, body, retryAfter, ms, askedAt } of answers) {
      // An API server that has just started refuses everybody until it has read who may do what.
      if (status === 403 && askedAt + ms > startedAt && askedAt < backAt) continue;
      expect(expected[what], JSON.stringify({ what, status, body, after: askedAt - startedAt })).toContain(status);
      expect(ms).toBeLessThan((what === 'start' ? START_SECONDS * 1000 : 10_000) + MARGIN_MS);
      if (status !== 503) continue;
      expect(body).toEqual({ code: '503', error: expect.stringMatching(/\w/) as string });
      expect(retryAfter).toMatch(/^[1-9]\d*$/);
    }
    // Whoever asks while it is away need not wait for it to come back.
    const whileAway = answers.filter(
      ({ askedAt, what }) => askedAt > stoppedAt && askedAt < startedAt - MARGIN_MS && what !== 'cached',
    );
    expect(new Set(whileAway.map(({ status }) => status))).toEqual(new Set([503]));
    expect(new Set(whileAway.map(({ what }) => what))).toEqual(new Set(['start', 'asked for']));
    for (const { ms } of whileAway) expect(ms).toBeLessThan(MARGIN_MS);

    const started = answers.filter(({ what, status }) => what === 'start' && status === 200);
    const ids = started.map(({ body }) => String(body['sessionId']));
    console.log(`${String(answers.length)} answers, ${String(ids.length)} sessions`);
    // Whoever was refused has no session, also where the API server had made it in its last moment.
    await onlyLeft(scene, ids, 90_000);
    const { violations } = await scene.replay();
    expect(violations).toEqual([]);
  },
);
