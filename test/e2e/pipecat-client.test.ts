import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { report, smallPod, useBullpen } from '../support/bullpen.ts';
import { loadPipecatBotImage, PIPECAT_BOT_IMAGE } from '../support/example-images.ts';
import { useGateway } from '../support/gateway-bed.ts';
import { PipecatClient, pipecatVersions, textOf, type PipecatAccess } from '../support/pipecat-client.ts';

/** Pipecat's own Python library, as it comes from PyPI, against sessions on a real node. */
const bullpen = await useBullpen('e2e-pipecat-client', { http: true });
const { cluster, kube, namespace } = bullpen;
const bed = useGateway(bullpen);

/** The larger of the integers is one that JavaScript has not. */
const BODY = `{"say": [], "text": "Grüße, 世界 😀", "nested": {"list": [1, [2.5, {}], null, true], "": "\\u0000\\"\\\\"}, "most": -1.5e300, "large": 12345678901234567890}`;

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'bullpen-pipecat-'));
  await loadPipecatBotImage(cluster, report);
  const resources = { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '512Mi' } };
  await Promise.all([
    bullpen.echoAgent('echo'),
    bullpen.echoAgent('bot', { image: PIPECAT_BOT_IMAGE, podTemplate: smallPod({ container: { resources } }) }),
  ]);
  await Promise.all(['echo', 'bot'].map((name) => kube.readyAgent(name)));
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe.concurrent.each(pipecatVersions)('the library of pipecatcloud %s', (version) => {
  let client: PipecatClient;
  beforeAll(async () => {
    client = await PipecatClient.install(version, report);
  });
  const access = (): PipecatAccess => ({
    origin: bed.gateway.origin,
    token: bed.token,
    organization: namespace,
    home,
  });
  const start = (agent: string, data = '{}', key = bed.publicKey) => client.start(access(), { agent, key, data });
  const cli = async (...args: string[]): Promise<string> => textOf(await client.cli(access(), args));

  it('starts a bot, which knows its id and what was said by args.session_id and args.body', async () => {
    const reply = await start('bot', BODY);
    expect(reply).toMatchObject({ start: 'cold', expiresAt: expect.any(String) as string });
    const id = String(reply['sessionId']);
    const session = await kube.sessionInPhase(id, 'Ended');
    expect(session.status).toMatchObject({ reason: 'Completed' });
    const log = await bullpen.logs(session);
    const [, told = '', body = ''] = /session (\S+) is told (.*)$/m.exec(log) ?? [];
    expect(told).toBe(id);
    expect(JSON.parse(body)).toEqual(JSON.parse(BODY));
    expect(body).toContain('"large": 12345678901234567890');
    // The same id wherever sessions are shown.
    expect(await cli('agent', 'sessions', 'bot')).toContain(id);
    expect(await cli('agent', 'sessions', 'bot', '--id', id)).toContain(id);
    const written = await cli('agent', 'logs', 'bot', '--session-id', id);
    expect(written).toContain(`session ${id} is told`);
    expect(written.match(/session \S+ is told/g)).toHaveLength(1);
  });

  it('raises AgentStartError for a bad key, an agent that is not there, and a body that is too large', async () => {
    const [badKey, nobody, tooLarge] = await Promise.all([
      start('echo', '{}', 'pk_wrong'),
      start('nobody'),
      start('echo', JSON.stringify({ text: 'x'.repeat(1_000_001) })),
    ]);
    expect(badKey).toEqual({ error: '401', text: '401 - Unauthorized / token expired' });
    expect(nobody).toEqual({ error: '404', text: '404 - Service not found' });
    expect(tooLarge).toMatchObject({ error: '413', text: expect.stringContaining('at most 1000000') as string });
  });

  it('raises AgentStartError for an agent that is full', async () => {
    const full = `full-${version.replaceAll('.', '-')}`;
    await bullpen.echoAgent(full, { scaling: { maxAgents: 2 } });
    await kube.readyAgent(full);
    const replies = await Promise.all([start(full), start(full), start(full)]);
    expect(replies.filter((reply) => 'error' in reply)).toEqual([
      {
        error: 'PCC-AGENT-AT-CAPACITY',
        text: 'PCC-AGENT-AT-CAPACITY - Service maximum agent instances reached',
      },
    ]);
  });
});
