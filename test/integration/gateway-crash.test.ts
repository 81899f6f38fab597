import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy, type Fault } from '../support/chaos-proxy.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { AGENT, knownKey, knows, LARGE, onlyLeft, PATIENT, readyAgent, sessionsOf, START } from '../support/rest.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** Gateways and controllers that are killed while somebody waits for a session. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'gwcrash', { nodes: 4 });
});
afterAll(() => stage?.close());

/** What is left of a start goes within a minute; the rest is for a machine that is slow. */
const SOON_MS = 90_000;

/** Right before a write, and right after it when its reply has not come. */
const moments = { before: 'lose-request', after: 'lose-reply' } as const satisfies Record<string, Fault>;
const SMALL = { body: { text: 'x' } };

interface KillPoint {
  moment: string;
  write: string;
  fault: Fault;
  body: { body: object };
}

const killPoints: KillPoint[] = (
  [
    ['POST sessions', SMALL],
    ['POST sessions', LARGE],
    ['POST secrets', LARGE],
  ] as const
).flatMap(([write, body]) => Object.entries(moments).map(([moment, fault]) => ({ moment, write, body, fault })));

const nameOf = ({ moment, write, body }: KillPoint): string =>
  `${moment} ${write} of a ${body === LARGE ? 'large' : 'small'} body`;

/** A gateway that is to die, with its own way to the API server. */
interface Doomed {
  gateway: GatewayProcess;
  proxy: ChaosProxy;
  key: string;
}

async function doom(scene: Scene, key: string): Promise<Doomed> {
  const proxy = await ChaosProxy.start(stage.cluster);
  const gateway = await scene.gateway({ proxy, config: PATIENT });
  await knows(gateway, key);
  return { gateway, proxy, key };
}

/** Starts a session at a replica that is killed at this write. The caller gets no answer. */
async function startAndKill(
  { gateway, proxy, key }: Doomed,
  { write, fault, body }: KillPoint,
  headers: Record<string, string> = {},
): Promise<void> {
  const rule = proxy.when(({ what }) => what === write, fault, { times: 1, onHit: () => void gateway.kill() });
  await expect(gateway.call('POST', START, { key, body, headers })).rejects.toThrow();
  await rule.struck;
  await gateway.exited();
  await proxy.close();
}

describe.concurrent(
  'when a replica of the gateway is killed (SIGKILL) right before or after any write of a start',
  () => {
    test('the retry at another one gets the one session', async () => {
      const scene = await stage.scene('retried');
      await scene.leader();
      const other = await scene.gateway({ config: PATIENT });
      await readyAgent(scene, killPoints.length);
      const key = await knownKey(scene, [other]);
      const all = killPoints.map(async (point) => {
        const headers = { 'idempotency-key': randomUUID() };
        await startAndKill(await doom(scene, key), point, headers);
        const retry = await other.call('POST', START, { key, body: point.body, headers });
        expect(retry, nameOf(point)).toMatchObject({ status: 200 });
        return { point, headers, id: String(retry.body['sessionId']) };
      });
      const retried = await Promise.all(all);
      // The Deployment makes another one, which knows of nothing, and looks after what is left.
      const next = await scene.gateway({ config: PATIENT });
      for (const { point, headers, id } of retried) {
        const again = await next.call('POST', START, { key, body: point.body, headers });
        expect(again.body, nameOf(point)).toMatchObject({ sessionId: id, start: 'cold' });
        await scene.kube.sessionInPhase(id, 'Running');
        const told = scene.deliveries().filter(({ headers: about }) => about['x-daily-session-id'] === id);
        expect(
          told.map(({ body }) => JSON.parse(body) as unknown),
          nameOf(point),
        ).toEqual([point.body.body]);
      }
      const ids = retried.map(({ id }) => id);
      await onlyLeft(scene, ids, SOON_MS);
      const { violations, podsCreated } = await scene.replay();
      expect({ violations, podsCreated }).toEqual({ violations: [], podsCreated: ids.length });
    });

    test('nothing is left of a start that nobody repeats and the controller refuses', async () => {
      const scene = await stage.scene('refused');
      const controller = await scene.leader();
      await readyAgent(scene, killPoints.length);
      const key = await scene.key('Public');
      const doomed = await Promise.all(killPoints.map((point) => doom(scene, key).then((one) => ({ one, point }))));
      // As far as the gateway knows there is a place.
      await controller.kill();
      await Promise.all(doomed.map(({ one, point }) => startAndKill(one, point)));
      await scene.kube.patchAgent(AGENT, { paused: true });
      await Promise.all([scene.leader(), scene.gateway({ config: PATIENT })]);
      const afterMs = await onlyLeft(scene, [], SOON_MS);
      console.log(`nothing left ${(afterMs / 1000).toFixed(1)} s after all were back`);
    });
  },
);

const losses = [
  { what: 'the reply to its POST sessions', write: 'POST sessions', fault: 'lose-reply', body: LARGE, status: 200 },
  { what: 'its POST sessions', write: 'POST sessions', fault: 'lose-request', body: LARGE, status: 503 },
  { what: 'the reply to its POST secrets', write: 'POST secrets', fault: 'lose-reply', body: LARGE, status: 503 },
] as const;

describe.concurrent('when the gateway loses', () => {
  test.for(losses)(
    '$what, the caller is told $status, and that is what there is',
    async ({ write, fault, body, status }) => {
      const scene = await stage.scene(`lost-${write.toLowerCase().replace(' ', '-')}-${fault}`);
      const proxy = await ChaosProxy.start(stage.cluster);
      const [gateway] = await Promise.all([scene.gateway({ proxy, config: PATIENT }), scene.leader()]);
      await readyAgent(scene, 5);
      const key = await knownKey(scene, [gateway]);
      const rule = proxy.when(({ what }) => what === write, fault, { times: 1 });
      const answer = await gateway.call('POST', START, { key, body });
      expect(rule.hits).toBe(1);
      expect(answer.status).toBe(status);
      if (status === 503) expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      await onlyLeft(scene, status === 200 ? [String(answer.body['sessionId'])] : [], SOON_MS);
      await proxy.close();
    },
  );
});

const controllerWrites = (['POST pods'] as const).flatMap((write) =>
  Object.entries(moments).map(([moment, fault]) => ({ moment, write, fault })),
);

describe.concurrent('when the controller is killed (SIGKILL) right', () => {
  test.for(controllerWrites)(
    '$moment its $write, whoever waits gets the session from the next leader',
    async ({ moment, write, fault }) => {
      const scene = await stage.scene(`controller-${moment}-${write.toLowerCase().replace(/\W/g, '-')}`);
      const proxy = await ChaosProxy.start(stage.cluster);
      const [gateway, first] = await Promise.all([scene.gateway({ config: PATIENT }), scene.leader({ proxy })]);
      await readyAgent(scene, 5);
      const key = await knownKey(scene, [gateway]);
      const second = await scene.standby();
      const rule = proxy.when(({ what }) => what === write, fault, { times: 1, onHit: () => void first.kill() });
      const since = Date.now();
      const answer = await gateway.call('POST', START, { key, body: SMALL });
      await rule.struck;
      console.log(`${moment} ${write}: answered after ${((Date.now() - since) / 1000).toFixed(1)} s`);
      expect(answer).toMatchObject({ status: 200, body: { start: 'cold' } });
      await second.log('leading');
      const id = String(answer.body['sessionId']);
      await scene.kube.sessionInPhase(id, 'Running');
      expect((await sessionsOf(scene)).map(({ metadata }) => metadata.name)).toEqual([id]);
      const { violations, podsCreated } = await scene.replay();
      expect({ violations, podsCreated }).toEqual({ violations: [], podsCreated: 1 });
      await proxy.close();
    },
  );

  test('before it has seen a start, and none comes after it, the answer comes in time and nothing is left', async () => {
    const scene = await stage.scene('no-leader');
    const config = { ...PATIENT, start: { timeoutSeconds: 3 } };
    const [gateway, controller] = await Promise.all([scene.gateway({ config }), scene.leader()]);
    await readyAgent(scene, 5);
    const key = await knownKey(scene, [gateway]);
    await controller.kill();
    const answers = await Promise.all([SMALL, LARGE].map((body) => gateway.call('POST', START, { key, body })));
    for (const { status, body } of answers)
      expect({ status, body }).toMatchObject({
        status: 504,
        body: { code: '504', error: expect.any(String) as string },
      });
    await onlyLeft(scene, [], SOON_MS);
  });
});
