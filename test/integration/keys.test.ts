import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivateJwk } from '../../src/controller/keys/key-set.ts';
import type { Secret } from '../../src/kube/objects.ts';
import { pods, secrets } from '../../src/kube/resources.ts';
import { kidsOfPod } from '../../src/pods/trusted-keys.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** The Secret with the keys that the controller signs with: made by the leader, with the rights that the chart gives it. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'keys');
});

afterAll(() => stage?.close());

const NAME = 'bullpen-controller-keys';
const GATEWAY = 'bullpen-gateway-keys';
/** All that it can say. */
const talkative = { config: { log: { level: 'trace' } } };

const keysIn = ({ data }: Secret, file = 'keys.json'): PrivateJwk[] => {
  const text = Buffer.from(data?.[file] ?? '', 'base64').toString();
  return (JSON.parse(text) as { keys: PrivateJwk[] }).keys;
};
const kidsIn = (secret: Secret): string[] => keysIn(secret).map(({ kid }) => kid);

const read = async ({ kube, namespace }: Scene): Promise<Secret> =>
  await kube.api.get(secrets, { namespace, name: NAME });

function expectNotToldIn({ lines }: ControllerProcess, secret: Secret): void {
  const all = [...keysIn(secret), ...keysIn(secret, 'sealing.json')];
  for (const { d } of all) expect(JSON.stringify(lines)).not.toContain(d);
}

describe.concurrent('the keys of the controller', () => {
  test('are made by the first leader, and serve those after it', async () => {
    const scene = await stage.scene('made');
    const first = await scene.leader(talkative);
    const made = await read(scene);
    expect(made.metadata.labels).toEqual({ 'app.kubernetes.io/managed-by': 'bullpen' });
    expect(keysIn(made)).toMatchObject([{ kty: 'OKP', crv: 'Ed25519' }]);
    expect(keysIn(made, 'sealing.json')).toMatchObject([{ kty: 'OKP', crv: 'X25519' }]);
    expectNotToldIn(first, made);

    const second = await scene.standby();
    await first.stop();
    await second.log('leading');
    expect(await read(scene)).toEqual(made);
    await second.stop();
    const third = await scene.leader();
    expect(await read(scene)).toEqual(made);
    expect(third.lines.find(({ secret, kids }) => secret === NAME && kids !== undefined)).toMatchObject({
      kids: { signing: kidsIn(made) },
    });
  });

  test('reach pods of before a rotation, and none of before an emergency', async () => {
    const scene = await stage.scene('reach');
    const controller = await scene.leader();
    await scene.httpAgent('agent', 4, { scaling: { minAgents: 1, maxAgents: 4 } });
    const { namespace, kube } = scene;
    const [before] = await kube.warmPods('agent', 1);
    const body = { metadata: { annotations: { 'bullpen.dev/rotate': 'now' } } };
    await kube.api.patch(secrets, { namespace, name: NAME }, { type: 'merge', body });
    await waitFor(async () => kidsIn(await read(scene)).length === 2, { what: 'a second key', timeoutMs: 90_000 });
    await kube.createSession('rotated', { agent: 'agent' });
    expect((await kube.sessionInPhase('rotated', 'Ended')).status).toMatchObject({
      reason: 'Completed',
      podName: before?.metadata.name,
    });

    const [trusting] = await kube.warmPods('agent', 1);
    const known = controller.lines.filter(({ msg }) => msg === 'other keys are in use').length;
    await kube.api.delete(secrets, { namespace, name: NAME });
    const renewed = (): boolean => controller.lines.filter(({ msg }) => msg === 'other keys are in use').length > known;
    await waitFor(() => Promise.resolve(renewed()), { what: 'keys of its own again', timeoutMs: 90_000 });
    await kube.gone(pods, trusting?.metadata.name ?? '');
    await kube.warmPods('agent', 1);
    await kube.createSession('renewed', { agent: 'agent' });
    expect((await kube.sessionInPhase('renewed', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('get a new one in front when the Secret is annotated, and the annotation goes', async () => {
    const scene = await stage.scene('rotated');
    const controller = await scene.leader(talkative);
    const [old] = kidsIn(await read(scene));
    const { namespace } = scene;
    await stage.cluster.kubectl(['annotate', 'secret', NAME, 'bullpen.dev/rotate=now', '--namespace', namespace]);
    const rotated = await scene.kube.when(secrets, NAME, 'two keys', (secret) => kidsIn(secret).length === 2);
    expect(rotated.metadata.annotations?.['bullpen.dev/rotate']).toBeUndefined();
    expect(kidsIn(rotated)[1]).toBe(old);
    expect(keysIn(rotated, 'sealing.json')).toHaveLength(2);
    expectNotToldIn(controller, rotated);
  });

  test('are not those of the gateway, which pods trust as well, and whose change takes no pod away', async () => {
    const scene = await stage.scene('gateway');
    const { kube, namespace } = scene;
    const controller = await scene.leader(talkative);
    await scene.httpAgent('agent', 4, { scaling: { minAgents: 1, maxAgents: 4 } });
    const before = await kube.api.get(secrets, { namespace, name: GATEWAY });
    expect(Object.keys(before.data ?? {})).toEqual(['keys.json']);
    const own = kidsIn(await read(scene));
    const [pod] = await kube.warmPods('agent', 1);
    expect(pod && kidsOfPod(pod)).toEqual([...own, ...kidsIn(before)]);

    await kube.api.delete(secrets, { namespace, name: GATEWAY });
    const { uid } = before.metadata;
    const after = await kube.when(secrets, GATEWAY, 'a new Secret', ({ metadata }) => metadata.uid !== uid);
    const inUse = (): boolean =>
      controller.lines.some(({ kids }) => JSON.stringify(kids) === JSON.stringify({ signing: kidsIn(after) }));
    await waitFor(() => Promise.resolve(inUse()), { what: 'the new keys to be in use', timeoutMs: 30_000 });
    await kube.createSession('next', { agent: 'agent' });
    const ended = await kube.sessionInPhase('next', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', podName: pod?.metadata.name });
    const [fresh] = await kube.warmPods('agent', 1);
    expect(fresh && kidsOfPod(fresh)).toEqual([...own, ...kidsIn(after)]);
    for (const secret of [before, after])
      for (const { d } of keysIn(secret)) expect(JSON.stringify(controller.lines)).not.toContain(d);
    expect((await scene.replay()).violations).toEqual([]);
  });

  test('are made anew when the Secret is deleted', async () => {
    const scene = await stage.scene('deleted');
    const controller = await scene.leader(talkative);
    const before = await read(scene);
    await scene.kube.api.delete(secrets, { namespace: scene.namespace, name: NAME });
    const { uid } = before.metadata;
    const after = await scene.kube.when(secrets, NAME, 'a new Secret', ({ metadata }) => metadata.uid !== uid);
    expect(kidsIn(after)).toHaveLength(1);
    expect(kidsIn(after)).not.toEqual(kidsIn(before));
    for (const secret of [before, after]) expectNotToldIn(controller, secret);
  });

  test('are not made where the Secret holds something else: the controller ends, and says what to do', async () => {
    const scene = await stage.scene('spoilt');
    const stringData = { 'keys.json': 'nonsense' };
    await scene.kube.api.create(secrets, scene.namespace, { metadata: { name: NAME }, stringData });
    const spoilt = await read(scene);
    const controller = await scene.controller();
    expect(await controller.exited()).toBe(1);
    expect(controller.tail()).toContain(
      `${scene.namespace}/${NAME} of the signing keys holds no keys that can be used`,
    );
    expect(await read(scene)).toEqual(spoilt);
  });
});
