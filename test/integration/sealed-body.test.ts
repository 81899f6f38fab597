import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { events, pods, secrets } from '../../src/kube/resources.ts';
import { seal, type Envelope, type SealingContext, type SealingJwk } from '../../src/sealing/sealing.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { Stage, type Scene } from '../support/stage.ts';

/** What an agent is told without being told to all who may read Sessions; the supervisors are real. */
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'sealed', { nodes: 4 });
});
afterAll(() => stage?.close());

const AGENT = 'echo';
const KEYS = 'bullpen-controller-keys';
/** All that it can say. */
const talkative = { config: { log: { level: 'trace' } } };
const TEXT = '{"text": "Grüße, 世界 \\u0000"}';
const TOKEN = 'token-of-a-room-that-nobody-else-may-enter';
const room = {
  'x-daily-room-url': 'https://example.daily.co/room',
  'x-daily-room-token': TOKEN,
  'x-daily-transport-type': 'daily',
};

/** The public half of the key that the controller opens with now: what whoever seals has. */
async function publicKey({ kube, namespace }: Scene): Promise<SealingJwk> {
  const { data } = await kube.api.get(secrets, { namespace, name: KEYS });
  const { keys } = JSON.parse(Buffer.from(data?.['sealing.json'] ?? '', 'base64').toString()) as { keys: SealingJwk[] };
  const [key] = keys;
  if (key === undefined) throw new Error('there is no key');
  const { kid, kty, crv, x } = key;
  return { kid, kty, crv, x };
}

async function sealFor(
  scene: Scene,
  session: string,
  { headers = room, body = Buffer.from(TEXT) }: Partial<Envelope> = {},
  context: Partial<SealingContext> = {},
): Promise<string> {
  const to = { namespace: scene.namespace, agent: AGENT, session, ...context };
  return await seal({ headers, body }, to, await publicKey(scene));
}

/** Neither what is sealed, nor it in clear, is anywhere but in the Session. */
async function expectNotTold({ kube, namespace }: Scene, { lines }: ControllerProcess, sealed: string): Promise<void> {
  const [ciphertext = ''] = sealed.split('.').slice(3);
  const seen = [lines, await kube.api.list(pods, { namespace }), await kube.api.list(events, { namespace })];
  for (const secret of [ciphertext.slice(0, 40), TOKEN, 'Grüße', Buffer.from(TOKEN).toString('base64')]) {
    for (const where of seen) expect(JSON.stringify(where)).not.toContain(secret);
  }
}

/** Resolves when a controller has taken keys into use so many times. */
async function keysInUse({ lines }: ControllerProcess, times: number): Promise<void> {
  const taken = () => Promise.resolve(lines.filter(({ msg }) => msg === 'other keys are in use').length === times);
  await waitFor(taken, { what: 'other keys', timeoutMs: 60_000, intervalMs: 100 });
}

describe.concurrent('a sealed body', () => {
  test.each([
    ['Cold', 0],
    ['Warm', 1],
  ] as const)('reaches its agent with the headers, byte for byte: %s', async (startKind, minAgents) => {
    const scene = await stage.scene(startKind.toLowerCase());
    const leader = await scene.leader(talkative);
    await scene.httpAgent(AGENT, 3, { scaling: { minAgents, maxAgents: 3 } });
    await scene.kube.warmPods(AGENT, minAgents);
    const sealedBody = await sealFor(scene, 'call');
    await scene.kube.createSession('call', { agent: AGENT, sealedBody });
    const ended = await scene.kube.sessionInPhase('call', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind });
    expect(scene.deliveries()).toMatchObject([{ sessionUid: ended.metadata.uid, body: TEXT, headers: room }]);
    await expectNotTold(scene, leader, sealedBody);
  });

  test('opens nowhere else: the Session is rejected, and has no pod', async () => {
    const scene = await stage.scene('pasted');
    const leader = await scene.leader(talkative);
    await scene.httpAgent(AGENT, 5, { scaling: { minAgents: 1, maxAgents: 5 } });
    const [warm] = await scene.kube.warmPods(AGENT, 1);
    const sealedBody = await sealFor(scene, 'call');
    const damaged = `${sealedBody.slice(0, -22)}${'A'.repeat(22)}`;
    const pasted: [session: string, sealedBody: string, words: string][] = [
      ['thief', sealedBody, 'sealed for another Session'],
      ['elsewhere', await sealFor(scene, 'elsewhere', {}, { namespace: 'other' }), 'sealed for another Session'],
      ['otherwise', await sealFor(scene, 'otherwise', {}, { agent: 'other' }), 'sealed for another Session'],
      ['call', damaged, 'damaged'],
    ];
    await Promise.all(
      pasted.map(async ([name, text, words]) => {
        await scene.kube.createSession(name, { agent: AGENT, sealedBody: text });
        const { status } = await scene.kube.sessionInPhase(name, 'Rejected');
        expect(status).toMatchObject({ reason: 'BodyNotOpened', message: expect.stringContaining(words) as string });
        expect(status).not.toHaveProperty('podName');
      }),
    );
    expect(scene.deliveries()).toEqual([]);
    const { items } = await scene.kube.api.list(pods, { namespace: scene.namespace });
    expect(items.map(({ metadata }) => metadata.uid)).toContain(warm?.metadata.uid);
    // Another one may have been made while it was looked whether they open.
    expect(items.filter(({ metadata }) => metadata.labels?.['bullpen.dev/state'] !== 'warm')).toEqual([]);
    await expectNotTold(scene, leader, sealedBody);
  });

  test('opens after a new key has come, and not after all keys are new', async () => {
    const scene = await stage.scene('rotated');
    const leader = await scene.leader(talkative);
    await scene.httpAgent(AGENT, 3);
    const [one, other] = [await sealFor(scene, 'one'), await sealFor(scene, 'other')];
    const { namespace } = scene;
    await stage.cluster.kubectl(['annotate', 'secret', KEYS, 'bullpen.dev/rotate=now', '--namespace', namespace]);
    await keysInUse(leader, 2);
    await scene.kube.createSession('one', { agent: AGENT, sealedBody: one });
    expect((await scene.kube.sessionInPhase('one', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    await scene.kube.api.delete(secrets, { namespace, name: KEYS });
    await keysInUse(leader, 3);
    await scene.kube.createSession('other', { agent: AGENT, sealedBody: other });
    const { status } = await scene.kube.sessionInPhase('other', 'Rejected');
    expect(status).toMatchObject({
      reason: 'BodyNotOpened',
      message: expect.stringContaining('not, or no longer, in use') as string,
    });
  });

  test('is not for agents of protocol Process', async () => {
    const scene = await stage.scene('process');
    await scene.leader();
    await scene.agent(AGENT, 3);
    await scene.kube.createSession('call', { agent: AGENT, sealedBody: await sealFor(scene, 'call') });
    const { status } = await scene.kube.sessionInPhase('call', 'Rejected');
    expect(status).toMatchObject({
      reason: 'SessionInvalid',
      message: expect.stringContaining('use bodyFrom') as string,
    });
  });
});

describe.concurrent('a body in a Secret', () => {
  const letter = async (scene: Scene, stringData: Record<string, string>): Promise<void> => {
    const metadata = { name: 'letter', labels: { 'bullpen.dev/body': '' } };
    await scene.kube.api.create(secrets, scene.namespace, { metadata, stringData });
  };
  const spec = { agent: AGENT, bodyFrom: { secretKeyRef: { name: 'letter', key: 'body' } } };

  test.each([
    ['Cold', 0],
    ['Warm', 1],
  ] as const)('reaches its agent with the headers beside it, byte for byte: %s', async (startKind, minAgents) => {
    const scene = await stage.scene(`letter-${startKind.toLowerCase()}`);
    const leader = await scene.leader(talkative);
    await scene.httpAgent(AGENT, 3, { scaling: { minAgents, maxAgents: 3 } });
    const warm = await scene.kube.warmPods(AGENT, minAgents);
    await letter(scene, { body: TEXT, headers: JSON.stringify(room) });
    await scene.kube.createSession('call', spec);
    const ended = await scene.kube.sessionInPhase('call', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind });
    expect(scene.deliveries()).toMatchObject([{ sessionUid: ended.metadata.uid, body: TEXT, headers: room }]);
    // What is given to a pod that waits never makes it a new one.
    if (startKind === 'Warm')
      expect(scene.deliveries()).toMatchObject(warm.map(({ metadata: { uid } }) => ({ podUid: uid })));
    await expectNotTold(scene, leader, '...not sealed');
  });

  test('with headers that are not valid is refused, and says what is allowed', async () => {
    const scene = await stage.scene('headers');
    const leader = await scene.leader(talkative);
    await scene.httpAgent(AGENT, 3);
    await letter(scene, { body: TEXT, headers: `{"authorization": "${TOKEN}"}` });
    await scene.kube.createSession('call', spec);
    const { status } = await scene.kube.sessionInPhase('call', 'Rejected');
    expect(status).toMatchObject({
      reason: 'HeadersInvalid',
      message: expect.stringContaining('no other than x-daily-room-url') as string,
    });
    expect(JSON.stringify(status)).not.toContain(TOKEN);
    expect(scene.deliveries()).toEqual([]);
    await expectNotTold(scene, leader, '...not sealed');
  });
});

describe.concurrent('a body of no characters', () => {
  test.each<[string, Record<string, unknown>]>([
    ['in the Session', { body: '' }],
    ['in a Secret', { bodyFrom: { secretKeyRef: { name: 'letter', key: 'body' } } }],
    ['that is sealed', {}],
  ])('is {} for the agent: %s', async (where, given) => {
    const scene = await stage.scene(`empty-${where.split(' ').at(-1)?.toLowerCase() ?? ''}`);
    await scene.leader();
    await scene.httpAgent(AGENT, 3);
    const metadata = { name: 'letter', labels: { 'bullpen.dev/body': '' } };
    await scene.kube.api.create(secrets, scene.namespace, { metadata, stringData: { body: '' } });
    const sealed = where.endsWith('sealed') && { sealedBody: await sealFor(scene, 'call', { body: Buffer.from('') }) };
    await scene.kube.createSession('call', { agent: AGENT, ...given, ...sealed });
    expect((await scene.kube.sessionInPhase('call', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    expect(scene.deliveries()).toMatchObject([{ body: '{}' }]);
  });
});
