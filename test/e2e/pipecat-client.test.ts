import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agents } from '../../src/api/resources.ts';
import { labels } from '../../src/api/names.ts';
import { waitFor } from '../cluster/wait.ts';
import { report, useBullpen } from '../support/bullpen.ts';
import { ECHO_AGENT_IMAGE } from '../support/example-images.ts';
import { createKey, GatewayProcess } from '../support/gateway-process.ts';
import {
  PipecatClient,
  pipecatClients,
  type Ended,
  type PipecatAccess,
  type PipecatVersion,
} from '../support/pipecat-client.ts';

/** Pipecat's own client and command line, as they come from PyPI, against sessions on a real node. */
const NAMESPACE = 'e2e-pipecat-client';
const bullpen = await useBullpen(NAMESPACE, { http: true });
const { cluster, kube } = bullpen;

let gateway: GatewayProcess;
let home: string;
let publicKey: string;
let token: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'bullpen-pipecat-'));
  gateway = await GatewayProcess.start(cluster, { namespace: NAMESPACE, watchNamespaces: [NAMESPACE] });
  [publicKey, token] = await Promise.all([
    createKey(cluster, NAMESPACE, 'Public'),
    createKey(cluster, NAMESPACE, 'Cli'),
  ]);
  await waitFor(async () => (await gateway.call('GET', '/v1/users', { key: token })).status === 200, {
    what: 'the gateway to know the keys',
    timeoutMs: 30_000,
  });
});
afterAll(async () => {
  await gateway?.stop();
  await rm(home, { recursive: true, force: true });
});

/** One session at a time that runs until it is stopped. */
const small = {
  scaling: { minAgents: 0, maxAgents: 2 },
};

describe.each(Object.keys(pipecatClients) as PipecatVersion[])('pipecatcloud %s', (version) => {
  const name = `echo-${version.replaceAll('.', '-')}`;
  let client: PipecatClient;
  const access = (more: Partial<PipecatAccess> = {}): PipecatAccess => ({
    origin: gateway.origin,
    token,
    organization: NAMESPACE,
    publicKey,
    home,
    ...more,
  });
  const cli = (...args: string[]): Promise<Ended> => client.cli(access(), args);
  const sdk = (program: string, more: Partial<PipecatAccess> = {}): Promise<Ended> =>
    client.python(access(more), program);
  const start = (data: string, key = publicKey, agent = name): string => `
import asyncio, json
from pipecatcloud.exception import AgentStartError
from pipecatcloud.session import Session, SessionParams
async def main():
    try:
        params = SessionParams(data=${data})
        print(json.dumps(await Session(agent_name="${agent}", api_key="${key}", params=params).start()))
    except AgentStartError as error:
        print(json.dumps({"error": error.error_code, "text": str(error)}))
asyncio.run(main())`;
  const told = async (program: string): Promise<Record<string, unknown>> => {
    const { stdout, stderr, code } = await sdk(program);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  };

  beforeAll(async () => {
    client = await PipecatClient.install(version, report);
    await bullpen.echoAgent(name, small);
    await kube.when(agents, name, 'ready', ({ status }) =>
      Boolean(status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True')),
    );
  });

  it('starts a session from Python, and the agent is told what was said', async () => {
    const reply = await told(start('{"seconds": 1, "text": "Grüße, 世界"}'));
    expect(reply).toMatchObject({ sessionId: expect.any(String) as string, start: 'cold' });
    const session = await kube.sessionInPhase(String(reply['sessionId']), 'Ended');
    expect(session.status?.reason).toBe('Completed');
    const { stdout } = await bullpen.kubectl([
      'logs',
      '--selector',
      `${labels.session}=${session.metadata.name}`,
      '--tail=-1',
    ]);
    const text = /^text (.*)$/m.exec(stdout)?.[1] ?? '';
    expect(JSON.parse(text)).toEqual({ seconds: 1, text: 'Grüße, 世界' });
    expect(stdout).toContain(session.metadata.name);
  });

  it('raises AgentStartError for a bad key, an agent that is not there, and a body that is too large', async () => {
    expect(await told(start('{}', 'pk_wrong'))).toMatchObject({ error: '401' });
    expect(await told(start('{}', publicKey, 'nobody'))).toMatchObject({ error: '404' });
    expect(await told(start('{"text": "x" * 1_000_001}'))).toMatchObject({ error: '413' });
  });

  it('raises AgentStartError for an agent that is full', async () => {
    const replies = [];
    for (let count = 0; count < 3; count += 1) replies.push(await told(start('{"seconds": 600}')));
    expect(replies[2]).toMatchObject({ error: 'PCC-AGENT-AT-CAPACITY' });
    for (const { sessionId } of replies.slice(0, 2)) {
      const stopped = await cli('agent', 'stop', name, '--session-id', String(sessionId), '--force');
      expect(stopped.code).toBe(0);
      const session = await kube.sessionInPhase(String(sessionId), 'Ended');
      expect(session.status?.reason).toBe('Stopped');
    }
  });

  it('lists agents, shows one, starts it, and lists its sessions', async () => {
    expect((await cli('agent', 'list')).stdout).toContain(name);
    expect((await cli('agent', 'status', name)).stdout).toMatch(/ready|healthy/i);
    const started = await cli('agent', 'start', name, '--api-key', publicKey, '--data', '{"seconds": 1}', '--force');
    expect(started.code).toBe(0);
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(started.stdout + started.stderr)?.[0] ?? '';
    await kube.sessionInPhase(id, 'Running', 'Stopping', 'Ended');
    expect((await cli('agent', 'sessions', name)).stdout).toContain(id);
  });

  it('knows who calls, the organizations and the keys', async () => {
    expect((await cli('auth', 'whoami')).stdout).toContain(NAMESPACE);
    expect((await cli('organizations', 'list')).stdout).toContain(NAMESPACE);
    expect((await cli('organizations', 'keys', 'list')).stdout).toContain(publicKey.slice(0, 12));
  });

  it('deploys an agent, and deletes it while a session runs', async () => {
    const deployed = `${name}-deployed`;
    const how = [
      '--max-session-duration',
      '300',
      '--force',
      ...(version === '0.6.0' ? ['--no-credentials'] : ['--yes', '--no-credentials']),
    ];
    const result = await cli('deploy', deployed, ECHO_AGENT_IMAGE, ...how);
    expect({ ...result }).toMatchObject({ code: 0 });
    const agent = await kube.api.get(agents, { namespace: NAMESPACE, name: deployed });
    expect(agent.spec).toMatchObject({ image: ECHO_AGENT_IMAGE, maxSessionDuration: 300 });
    await kube.patchAgent(deployed, {
      podTemplate: {
        spec: {
          containers: [
            { name: 'agent', imagePullPolicy: 'Never', resources: { requests: { cpu: '10m', memory: '32Mi' } } },
          ],
        },
      },
    });
    const reply = await told(start('{"seconds": 600}', publicKey, deployed));
    const id = String(reply['sessionId']);
    await kube.sessionInPhase(id, 'Running');
    expect((await cli('agent', 'delete', deployed, '--force')).code).toBe(0);
    expect(await told(start('{}', publicKey, deployed))).toMatchObject({ error: '404' });
    expect((await kube.session(id)).status?.phase).toBe('Running');
    expect((await cli('agent', 'stop', deployed, '--session-id', id, '--force')).code).toBe(0);
    await kube.sessionInPhase(id, 'Ended');
  });
});
