import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { agents, apiKeys } from '../../src/api/resources.ts';
import { secrets } from '../../src/kube/resources.ts';
import { report, useBullpen } from '../support/bullpen.ts';
import { ECHO_AGENT_IMAGE } from '../support/example-images.ts';
import type { Ended } from '../support/ended.ts';
import { useGateway } from '../support/gateway-bed.ts';
import { PipecatClient, pipecatVersions, textOf, type PipecatAccess } from '../support/pipecat-client.ts';
import { DOWN, ENTER } from '../support/pipecat-programs.ts';

/** Pipecat's own command line, as it comes from PyPI, against sessions on a real node: what its documentation says can be done. */
const bullpen = await useBullpen('e2e-pipecat-cli', { http: true });
const { kube, namespace } = bullpen;
const bed = useGateway(bullpen);
// A command takes a second of a processor before it sends anything, and there are many of them.
vi.setConfig({ testTimeout: 400_000 });
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

describe.each(pipecatVersions)('the command line of pipecatcloud %s', (version) => {
  /** Before 1.1 it told of nearly all failures in its text only. */
  const FAILURE = version === '0.6.0' ? 0 : 1;
  const named = (name: string): string => `${name}-${version.replaceAll('.', '-')}`;
  let client: PipecatClient;
  let home: string;
  beforeAll(async () => {
    client = await PipecatClient.install(version, report);
    home = await mkdtemp(join(tmpdir(), 'bullpen-pipecat-'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));
  const access = (): PipecatAccess => ({ origin: bed.gateway.origin, token: bed.token, organization: namespace, home });

  /** Runs a command that must end so; resolves with what it printed. */
  const cli = async (code: number, ...args: string[]): Promise<string> =>
    checked(code, args, await client.cli(access(), args));
  const checked = (code: number, args: readonly string[], ended: Ended): string => {
    expect({ args, ...ended }).toMatchObject({ code });
    return textOf(ended);
  };
  const start = async (agent: string, data: object, key = bed.publicKey): Promise<string> => {
    const args = ['agent', 'start', agent, '--api-key', key, '--data', JSON.stringify(data), '--force'];
    const text = await cli(0, ...args);
    expect(text).toContain(`Agent '${agent}' started successfully`);
    return /Session ID: (\S+)/.exec(text)?.[1] ?? '';
  };

  it.concurrent('deploys an agent, runs its sessions, and deletes it while one runs', async () => {
    const agent = named('page');
    const pull = named('pull');
    const settings = named('settings');
    expect(await cli(0, 'secrets', 'image-pull-secret', pull, 'registry.example', 'user:token', '--skip')).toContain(
      `Image pull secret '${pull}' for registry.example created successfully`,
    );
    await cli(0, 'secrets', 'set', settings, 'GREETING=hello', '--skip');
    const how = ['-c', pull, '--secrets', settings, '--max-session-duration', '300', '--force'];
    expect(await cli(0, 'deploy', agent, ECHO_AGENT_IMAGE, ...how)).toContain(`Agent deployment '${agent}' is ready`);
    const { spec } = await kube.api.get(agents, { namespace, name: agent });
    expect(spec).toMatchObject({ image: ECHO_AGENT_IMAGE, maxSessionDuration: 300, secretSet: settings });
    // The image is on the node, and the node is small.
    const resources = { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '128Mi' } };
    const containers = [{ name: 'agent', imagePullPolicy: 'Never', resources }];
    await kube.patchAgent(agent, { podTemplate: { spec: { containers } }, terminationGracePeriodSeconds: 5 });
    await kube.readyAgent(agent);

    const ids = await Promise.all(['one', 'two'].map((echo) => start(agent, { echo, seconds: 600 })));
    const [one = '', two = ''] = ids;
    expect(one).toMatch(UUID);
    const [session] = await Promise.all([one, two].map((id) => kube.sessionInPhase(id, 'Running')));
    if (session === undefined) throw new Error('no session');
    const pod = await kube.pod(session.status?.podName ?? '');
    expect(pod.spec).toMatchObject({ imagePullSecrets: [{ name: pull }] });
    expect(JSON.stringify(pod.spec)).toContain(`{"secretRef":{"name":"${settings}"`);

    const status = await cli(0, 'agent', 'status', agent);
    expect(status).toContain(ECHO_AGENT_IMAGE);
    const deployment = /Active Deployment ID: (\S+)/.exec(status)?.[1] ?? '';
    expect(deployment).toMatch(UUID);
    const deployments = await cli(0, 'agent', 'deployments', agent);
    expect(deployments).toContain(deployment);
    expect(deployments).toContain(ECHO_AGENT_IMAGE);
    expect(await cli(0, 'agent', 'list')).toContain(agent);

    const sessions = await cli(0, 'agent', 'sessions', agent);
    for (const id of ids) expect(sessions).toContain(id);
    const detail = await cli(0, 'agent', 'sessions', agent, '--id', one);
    expect(detail).toMatch(/Status: Active/);
    expect(detail).toContain(one);
    expect(detail).not.toContain(two);
    await bullpen.written(session, 'echo one');
    const log = await cli(0, 'agent', 'logs', agent, '--session-id', one);
    expect(log).toContain('echo one');
    expect(log).toContain(`session ${one}`);
    expect(log).toContain('limit 300 seconds');
    expect(log).not.toMatch(new RegExp(`echo two|${two}`));

    const stop = (id: string) => cli(0, 'agent', 'stop', agent, '--session-id', id, '--force');
    expect(await stop(one)).toContain(`Session '${one}' stopped successfully`);
    expect((await kube.sessionInPhase(one, 'Ended')).status).toMatchObject({ reason: 'Stopped' });
    expect(await cli(0, 'agent', 'sessions', agent, '--id', one)).not.toMatch(/Status: Active/);

    expect(await cli(0, 'agent', 'delete', agent, '--force')).toContain(`Agent '${agent}' deleted successfully`);
    const refused = ['agent', 'start', agent, '--api-key', bed.publicKey, '--force'];
    expect(await cli(FAILURE, ...refused)).toContain('does not exist or is not in a healthy state');
    expect((await kube.session(two)).status?.phase).toBe('Running');
    expect(await cli(0, 'agent', 'sessions', agent)).toContain(two);
    expect(await cli(0, 'agent', 'logs', agent, '--session-id', two)).toContain('echo two');
    await stop(two);
    expect((await kube.sessionInPhase(two, 'Ended')).status).toMatchObject({ reason: 'Stopped' });
  });

  it.concurrent('says why a session is not started: a bad key, no such agent, an agent that is full', async () => {
    const agent = named('full');
    await bullpen.echoAgent(agent, { scaling: { maxAgents: 1 } });
    await kube.readyAgent(agent);
    await start(agent, {});
    const attempt = (name: string, key = bed.publicKey) =>
      cli(FAILURE, 'agent', 'start', name, '--api-key', key, '--force');
    const [full, badKey, nobody] = await Promise.all([attempt(agent), attempt(agent, 'pk_wrong'), attempt('nobody')]);
    expect(full).toContain('Service maximum agent instances reached');
    expect(full).toContain('PCC-AGENT-AT-CAPACITY');
    expect(badKey).toMatch(/unauthorized.*401|401.*unauthorized/i);
    expect(nobody).toContain("'nobody' does not exist or is not in a healthy state");
    const unknown = ['--session-id', '11111111-1111-4111-8111-111111111111'];
    expect(await cli(FAILURE, 'agent', 'logs', agent, ...unknown)).toContain('Session not found');
  });

  it.concurrent('makes keys, lists them, takes one for its default, and revokes it', async () => {
    const agent = named('keys');
    await bullpen.echoAgent(agent);
    await kube.readyAgent(agent);
    const name = named('app');
    const keys = ['organizations', 'keys'];
    expect(await cli(0, ...keys, 'create', '--name', name, '--default')).toMatch(/pk_[A-Za-z0-9_-]+/);
    const [key] = (await kube.api.list(apiKeys, { namespace })).items.filter(({ spec }) => spec.displayName === name);
    const text = key?.spec.key ?? '';
    expect(await cli(0, ...keys, 'list')).toMatch(new RegExp(`${name}.*${text}`));
    const start = ['agent', 'start', agent, '--data', '{"seconds": 0}', '--force'];
    expect(await cli(0, ...start)).toContain(`Agent '${agent}' started successfully`);

    // On a terminal one chooses from the list.
    const position = async (): Promise<number> => {
      const path = `/v1/organizations/${namespace}/apiKeys`;
      const { body } = await bed.gateway.call('GET', path, { key: bed.token });
      const listed = body['public'] as { key: string; revoked: boolean }[];
      return listed.filter(({ revoked }) => !revoked).findIndex((each) => each.key === text);
    };
    const choose = async (asked: string) => ({ asked, typed: `${DOWN.repeat(await position())}${ENTER}` });
    const onTerminal = async (args: string[], ...keystrokes: { asked: string; typed: string }[]) =>
      checked(0, args, await client.terminal(access(), args, keystrokes));
    const use = await onTerminal([...keys, 'use'], await choose('Select API key to use'));
    expect(use).toContain(`'${name}' set as default`);
    expect(await cli(0, ...start)).toContain('started successfully');
    const revoke = await onTerminal([...keys, 'revoke'], await choose('Select API key to revoke'), {
      asked: 'set as the default',
      typed: 'y',
    });
    expect(revoke).toContain(`'${key?.metadata.name ?? ''}' revoked successfully`);
    expect(await cli(0, ...keys, 'list')).toMatch(new RegExp(`${text}.*Revoked`));
    expect(await cli(FAILURE, 'agent', 'start', agent, '--api-key', text, '--force')).toMatch(/unauthorized/i);
  });

  it.concurrent('keeps secrets: tells their names, and never what they are', async () => {
    const set = named('secrets');
    const created = await cli(0, 'secrets', 'set', set, 'FIRST=one', 'SECOND=two', '--skip');
    expect(created).toContain(`Secret set '${set}' created successfully`);
    const { data } = await kube.api.get(secrets, { namespace, name: set });
    expect(data).toEqual({ FIRST: 'b25l', SECOND: 'dHdv' });
    expect(await cli(0, 'secrets', 'set', set, 'SECOND=new', '--skip')).toContain('successfully');
    expect(await cli(0, 'secrets', 'list')).toContain(set);
    const names = await cli(0, 'secrets', 'list', set);
    expect(names).toMatch(/FIRST.*SECOND/);
    expect(names).not.toMatch(/one|two|new|b25l/);
    expect(await cli(0, 'secrets', 'unset', set, 'FIRST', '--skip')).toContain("Secret 'FIRST' deleted successfully");
    expect((await kube.api.get(secrets, { namespace, name: set })).data).toEqual({ SECOND: 'bmV3' });
    expect(await cli(FAILURE, 'secrets', 'unset', set, 'FIRST', '--skip')).toContain('Key not found');
    expect(await cli(0, 'secrets', 'delete', set, '--skip')).toContain(`Secret set '${set}' deleted successfully`);
    expect(await cli(FAILURE, 'secrets', 'delete', set, '--skip')).toContain('No set found');
    await kube.gone(secrets, set);
  });

  it.concurrent('knows who calls, and the organizations with their properties and regions', async () => {
    expect(await cli(0, 'auth', 'whoami')).toContain(namespace);
    expect(await cli(0, 'organizations', 'list')).toContain(namespace);
    // The one that a token is good for is found without being named.
    const select = ['organizations', 'select', '--organization', namespace];
    const unsettled = { ...access(), organization: undefined, home: await mkdtemp(join(home, 'select-')) };
    const selected = await client.cli(unsettled, select);
    expect(checked(0, select, selected)).toContain(`organization set to ${namespace} (${namespace})`);
    expect(await cli(FAILURE, 'organizations', 'select', '--organization', 'nobody')).toContain("'nobody'");
    expect(await cli(0, 'organizations', 'properties', 'list')).toMatch(/defaultRegion.*default/);
    expect(await cli(0, 'organizations', 'properties', 'schema')).toContain('defaultRegion');
    expect(await cli(0, 'organizations', 'default-region')).toContain('default');
    expect(await cli(0, 'regions', 'list')).toMatch(/default.*This cluster/);
    const stranger = await client.cli({ ...access(), token: 'pcc_pat_wrong' }, ['agent', 'list']);
    expect(checked(FAILURE, ['agent', 'list'], stranger)).toMatch(/unauthorized/i);
  });
});
