import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeys } from '../../src/api/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { AGENT, knownKey, LARGE, onlyLeft, PATIENT, readyAgent, replicas, revokeKeys, START } from '../support/rest.ts';
import { Stage } from '../support/stage.ts';

/** Replicas of the gateway know nothing of each other, and answer as one. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'gwpair', { nodes: 4 });
});
afterAll(() => stage?.close());

/** Requests that have the same key. */
const PAIRS = 10;
/** It is to count within a second; what is measured is printed, because a busy machine is no fault. */
const REVOKED_MS = 30_000;
/** How often the gateway looks which uses of keys are to be noted, with a margin. */
const NOTED_MS = 90_000;

describe.concurrent('two replicas', () => {
  test('that get the same Idempotency-Key at once make one session, and say the same of it', async () => {
    const scene = await stage.scene('same');
    const [pair] = await Promise.all([replicas(scene, 2, { config: PATIENT }), scene.leader()]);
    await readyAgent(scene, PAIRS);
    const key = await knownKey(scene, pair);
    const askBoth = async (index: number): Promise<string> => {
      const headers = { 'idempotency-key': randomUUID() };
      // Twice at each, and every other time by way of a Secret.
      const body = index % 2 === 0 ? LARGE : { body: { index } };
      const answers = await Promise.all(
        [...pair, ...pair].map((one) => one.call('POST', START, { key, body, headers })),
      );
      const [first] = answers;
      for (const { status, body: reply } of answers)
        expect({ status, sessionId: reply['sessionId'], start: reply['start'] }).toEqual({
          status: 200,
          sessionId: first?.body['sessionId'],
          start: first?.body['start'],
        });
      return String(first?.body['sessionId']);
    };
    const ids = await Promise.all(Array.from({ length: PAIRS }, (_, index) => askBoth(index)));
    await onlyLeft(scene, ids, 60_000);
    const { violations, podsCreated } = await scene.replay();
    expect({ violations, podsCreated }).toEqual({ violations: [], podsCreated: PAIRS });
  });

  test('take a revoked key no more, nor say more to whoever follows a log with it', async () => {
    const scene = await stage.scene('revoked');
    const pair = await replicas(scene, 2, { config: PATIENT });
    const [start, own] = [await knownKey(scene, pair), await knownKey(scene, pair, 'Private')];
    // Nobody gives it a pod, so there is nothing to say and no end.
    await scene.httpAgent(AGENT, 1);
    const session = await scene.kube.createSession(randomUUID(), { agent: AGENT });
    const path = `/v1/agents/${AGENT}/logs?follow=true&sessionId=${session.metadata.name}`;
    const follow = async ({ origin }: GatewayProcess): Promise<Promise<{ said: string; at: number }>[]> => {
      const response = await fetch(`${origin}${path}`, { headers: { authorization: `Bearer ${own}` } });
      expect(response.status).toBe(200);
      return [response.text().then((said) => ({ said, at: Date.now() }))];
    };
    const followed = (await Promise.all(pair.map(follow))).flat();
    const since = Date.now();
    await revokeKeys(scene);
    const refuses = async (gateway: GatewayProcess): Promise<number> => {
      const refused = async (): Promise<boolean> =>
        (await gateway.call('POST', START, { key: start })).status === 401 &&
        (await gateway.call('GET', '/v1/agents', { key: own })).status === 401;
      await waitFor(refused, { what: 'the keys to open nothing', timeoutMs: REVOKED_MS, intervalMs: 100 });
      return Date.now() - since;
    };
    const [times, ends] = await Promise.all([Promise.all(pair.map(refuses)), Promise.all(followed)]);
    const endTimes = ends.map(({ at }) => at - since);
    console.log(
      `revoked keys opened nothing after ${times.join(' and ')} ms, and what was followed ended after ${endTimes.join(' and ')} ms`,
    );
    for (const { said } of ends) expect(JSON.parse(said.trim())).toMatchObject({ code: '401' });
    expect(Math.max(...endTimes)).toBeLessThan(REVOKED_MS);
    const after = pair.map((gateway) => gateway.call('POST', START, { key: start }));
    for (const { status, body } of await Promise.all(after))
      expect({ status, code: body['code'] }).toEqual({ status: 401, code: '401' });
  });

  test('note that a key is used once, however often it is', async () => {
    const scene = await stage.scene('noted');
    const proxy = await ChaosProxy.start(stage.cluster);
    const pair = await replicas(scene, 2, { proxy, config: PATIENT });
    const key = await knownKey(scene, pair, 'Private');
    const notes = (): number => proxy.count(({ what }) => what === 'PATCH apikeys/status');
    const isNoted = async (): Promise<boolean> => {
      for (const gateway of pair) await gateway.call('GET', '/v1/agents', { key });
      return notes() > 0;
    };
    await waitFor(isNoted, { what: 'a note of the use', timeoutMs: NOTED_MS });
    const asked = pair.flatMap(({ lines }) => lines.filter(({ msg }) => msg === 'request')).length;
    const { items } = await scene.kube.api.list(apiKeys, { namespace: scene.namespace });
    expect(Date.parse(items[0]?.status?.lastUsedAt ?? '')).toBeGreaterThan(Date.now() - NOTED_MS);
    console.log(`${String(asked)} requests, ${String(notes())} notes`);
    // One for each replica, where neither has seen what the other has written.
    expect(asked).toBeGreaterThan(100);
    expect(notes()).toBeLessThanOrEqual(pair.length);
    await proxy.close();
  });
});
