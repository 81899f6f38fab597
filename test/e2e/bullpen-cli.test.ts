import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { labels } from '../../src/api/names.ts';
import { agents, apiKeys } from '../../src/api/resources.ts';
import { namespaces, secrets } from '../../src/kube/resources.ts';
import { useBullpen } from '../support/bullpen.ts';
import { BullpenCli } from '../support/bullpen-cli.ts';
import type { Ended } from '../support/ended.ts';
import { useGateway } from '../support/gateway-bed.ts';

/** The command line `bullpen`, as it is built, at a cluster with a real node. */
const bullpen = await useBullpen('e2e-bullpen-cli', { http: true });
const { cluster, kube, namespace } = bullpen;
const bed = useGateway(bullpen);
const bullpenCli = new BullpenCli(bullpen);
const TEAM = `${namespace}-team`;

/** Runs a command that must end so. */
async function cli(code: number, ...args: string[]): Promise<Ended> {
  return checked(code, args, await bullpenCli.run(args));
}

function checked(code: number, args: readonly string[], ended: Ended): Ended {
  expect({ args, ...ended }).toMatchObject({ code });
  return ended;
}

/** Starts a session; resolves with its id, which is all that goes to standard output. */
async function start(args: string[], input = ''): Promise<string> {
  const { stdout, stderr } = checked(0, args, await bullpenCli.run(['start', ...args], { input }));
  expect(stdout).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}\n$/);
  expect(stderr).toMatch(/^cold start on pod \S+; its log: bullpen logs \S+ -f\n$/);
  return stdout.trim();
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bullpen-cli-'));
  await Promise.all([bullpen.echoAgent('echo', { scaling: { maxAgents: 20 } }), bullpen.echoAgent('listed')]);
  await Promise.all(['echo', 'listed'].map((name) => kube.readyAgent(name)));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await cluster.kubectl(['delete', 'namespace', TEAM, '--wait=false', '--ignore-not-found']);
});

describe.concurrent('bullpen start', () => {
  const bodies = {
    words: '{ "seconds": 0,  "echo": "grüße, 世界 😀" }',
    file: `{"seconds": 0}\n`,
    input: '{"seconds": 0.0}',
    long: JSON.stringify({ seconds: 0, text: 'ä'.repeat(100_000) }),
  };
  it.each(Object.entries(bodies))('tells the agent what was said, byte for byte: %s', async (how, body) => {
    const file = join(folder, `${how}.json`);
    await writeFile(file, body);
    const options = how === 'words' ? ['--data', body] : ['--data-file', how === 'input' ? '-' : file];
    const id = await start(['echo', ...options], body);
    const session = await kube.sessionInPhase(id, 'Ended');
    expect(session.status).toMatchObject({ reason: 'Completed' });
    const digest = createHash('sha256').update(body).digest('hex');
    const { stdout } = await cli(0, 'logs', id);
    expect(stdout).toContain(`session ${id}\n`);
    expect(stdout).toContain(`body ${Buffer.byteLength(body)} ${digest}\n`);
    // A long one was in a Secret for as long as it had to be.
    const { bodyFrom } = session.spec;
    expect(bodyFrom === undefined).toBe(how !== 'long');
    if (bodyFrom !== undefined) await kube.gone(secrets, bodyFrom.secretKeyRef.name);
  });

  it('says why there is no session, and what to look at', async () => {
    await bullpen.echoAgent('full', { scaling: { maxAgents: 1 } });
    await kube.readyAgent('full');
    await start(['full']);
    expect((await cli(1, 'start', 'full')).stderr).toMatch(/AtCapacity.*\n.*bullpen sessions full --active/);
    expect((await cli(1, 'start', 'nobody')).stderr).toMatch(/AgentNotFound.*\n.*bullpen agents/);
    expect((await cli(2, 'start', 'echo', '--data', 'hello')).stderr).toMatch(/^--data is not valid JSON/);
    expect((await cli(2, 'start', 'echo', '--data-file', '/nowhere')).stderr).toMatch(/^cannot read \/nowhere/);
  });
});

describe.concurrent('bullpen logs and stop', () => {
  it('follow one session to its end, and end it', async () => {
    const [one = '', two = ''] = await Promise.all(
      ['one', 'two'].map((echo) => start(['echo', '--data', JSON.stringify({ echo })])),
    );
    const followed = cli(0, 'logs', 'echo', '-f', '--session', one);
    await bullpen.written(await kube.session(one), 'echo one');
    const { stdout: soFar } = await cli(0, 'logs', '--session', one, '--timestamps');
    expect(soFar).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z echo one$/m);
    // Pipecat's documentation names the agent, too.
    expect((await cli(0, 'stop', 'echo', '--session', one)).stdout).toBe(
      `session.bullpen.dev/${one} is told to stop\n`,
    );
    const { stdout } = await followed;
    expect(stdout).toMatch(new RegExp(`^session ${one}$[^]*^echo one$[^]*^goodbye$`, 'm'));
    expect(stdout).not.toMatch(new RegExp(`two|${two}`));
    expect((await kube.sessionInPhase(one, 'Ended')).status).toMatchObject({ reason: 'Stopped' });
    expect((await kube.session(two)).status?.phase).toBe('Running');
    await cli(0, 'stop', two);
    await kube.sessionInPhase(two, 'Ended');
  });

  it('know no session that there is not', async () => {
    for (const command of ['logs', 'stop'])
      expect((await cli(1, command, 'nobody')).stderr).toBe(
        `There is no session nobody in namespace ${namespace}: see bullpen sessions\n`,
      );
    expect((await cli(2, 'logs')).stderr).toContain('see bullpen sessions');
  });
});

describe.concurrent('bullpen sessions, agents and status', () => {
  it('print as kubectl does, and nothing but text', async () => {
    const id = await start(['listed']);
    const table = await cli(0, 'sessions', 'listed');
    expect(table.stdout).toMatch(/^NAME +AGENT +PHASE +REASON +START +AGE\n\S+ +listed +Running +\S+ +Cold +\d+s\n$/);
    const wide = await cli(0, 'sessions', 'listed', '--active', '-o', 'wide');
    expect(wide.stdout).toMatch(/^NAME .* POD +NODE +ID +MESSAGE\n/);
    expect((await cli(0, 'sessions', 'listed', '-o', 'name')).stdout).toBe(`session.bullpen.dev/${id}\n`);
    const json = JSON.parse((await cli(0, 'sessions', 'listed', '-o', 'json')).stdout) as { items: unknown[] };
    expect(json).toMatchObject({ kind: 'List', items: [{ kind: 'Session', metadata: { name: id, namespace } }] });
    expect(parse((await cli(0, 'sessions', 'listed', '-o', 'yaml')).stdout)).toEqual(json);
    expect((await cli(0, 'agents')).stdout).toMatch(
      /^NAME +IMAGE +ACTIVE +MAX +WARM +READY +AGE\n[^]*^listed .* True /m,
    );
    expect((await cli(0, 'agents', '-o', 'name')).stdout).toContain('agent.bullpen.dev/listed\n');
    expect((await cli(0, 'status', 'listed')).stdout).toMatch(/^listed: ready \(\d active, 0 warm, at most \d+\)\n$/);
    expect(table.stdout + wide.stdout).not.toContain('\u001b');
    const forced = await bullpenCli.run(['sessions', 'listed'], { env: { FORCE_COLOR: '3' } });
    expect(forced.stdout).not.toContain('\u001b');
  });

  it('say so of what is not there, and of what is not well', async () => {
    const { stdout, stderr } = await cli(0, 'sessions', 'never-started');
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'No sessions.\n' });
    expect((await cli(1, 'status', 'nobody')).stderr).toContain(`There is no agent nobody in namespace ${namespace}`);
    await bullpen.echoAgent('ill', { podTemplate: { spec: { hostNetwork: true } } });
    await kube.when(agents, 'ill', 'Stalled', ({ status }) =>
      Boolean(status?.conditions?.some(({ type, status: is }) => type === 'Stalled' && is === 'True')),
    );
    const ill = await cli(1, 'status', 'ill');
    expect(ill.stdout).toMatch(/^ill: NOT READY .*\n {2}TemplateNotAllowed: .*hostNetwork/);
    const doctor = await cli(1, 'doctor');
    expect(doctor.stdout).toMatch(/^ok {3}Kubernetes v1\.\d+\.\d+\S* answers$/m);
    expect(doctor.stdout).toMatch(/^ok {3}Sessions are served$/m);
    expect(doctor.stdout).toMatch(/^BAD {2}agent ill is ready\n {5}TemplateNotAllowed: .*hostNetwork/m);
    expect(doctor.stdout).toMatch(/^ok {3}agent echo is ready$/m);
    expect(doctor.stderr).toMatch(/checks failed\.\n$/);
  });
});

describe.concurrent('bullpen keys', () => {
  it('makes one that starts sessions over REST, lists it, and revokes it', async () => {
    const { stdout } = await cli(0, 'keys', 'create', 'app');
    const key = stdout.trim();
    expect(stdout).toMatch(/^pk_[A-Za-z0-9_-]{43,}\n$/);
    const path = '/v1/public/echo/start';
    const options = { key, body: { body: { seconds: 0 } } };
    await bed.gateway.answers('POST', path, options, { status: 200 });
    const { stdout: list } = await cli(0, 'keys', 'list', '-o', 'wide');
    const [line = ''] = list.split('\n').filter((row) => row.includes(key));
    const [name = ''] = line.split(/ +/);
    expect(line).toMatch(/ Public +app +false /);
    expect((await cli(0, 'keys', 'revoke', name)).stdout).toBe(`apikey.bullpen.dev/${name} revoked\n`);
    await bed.gateway.answers('POST', path, options, { status: 401, body: { code: '401' } });
    expect((await cli(0, 'keys', 'list')).stdout).toMatch(new RegExp(`^${name} +Public +app +true `, 'm'));
    expect((await cli(1, 'keys', 'revoke', 'nobody')).stderr).toContain('see bullpen keys list');
  });

  it('shows a private one, and one for the command line, only once', async () => {
    for (const [type, prefix] of [
      ['private', 'sk_'],
      ['cli', 'pcc_pat_'],
    ] as const) {
      const { stdout, stderr } = await cli(0, 'keys', 'create', `of ${type}`, '--type', type, '-o', 'json');
      const made = JSON.parse(stdout) as { name: string; key: string };
      expect(made.key.startsWith(prefix)).toBe(true);
      expect(stderr).toBe('Keep it safe: it cannot be shown again.\n');
      const object = await kube.api.get(apiKeys, { namespace, name: made.name });
      expect(JSON.stringify(object)).not.toContain(made.key);
      await bed.gateway.answers('GET', `/v1/organizations/${namespace}/services`, { key: made.key }, { status: 200 });
    }
  });
});

describe.concurrent('bullpen org create', () => {
  it('makes a namespace an organization, once or again', async () => {
    expect((await cli(0, 'org', 'create', TEAM)).stdout).toContain(`namespace/${TEAM} created\n`);
    expect((await cli(0, 'org', 'create', TEAM)).stdout).toContain(`namespace/${TEAM} is an organization\n`);
    const { metadata } = await kube.api.get(namespaces, { name: TEAM });
    expect(metadata.labels).toHaveProperty([labels.organization]);
    expect((await cli(2, 'org', 'create', 'Team_1')).stderr).toContain('cannot be the name of a namespace');
  });
});

describe.concurrent('bullpen', () => {
  it('is a plugin of kubectl, too', async () => {
    const { code, stdout } = await bullpenCli.plugin(['agents', '-o', 'name']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining('agent.bullpen.dev/echo\n') as string,
    });
  });

  it('says what to do next when it is called wrongly, or cannot reach a cluster', async () => {
    expect((await cli(2, 'agents', '--alll')).stderr).toMatch(/^Unknown option '--alll'\.\n\nusage: bullpen agents /);
    expect((await cli(2, 'strat')).stderr).toMatch(/^There is no command "strat"\.\n\nusage: bullpen COMMAND/);
    expect((await cli(1, 'agents', '--kubeconfig', '/nowhere')).stderr).toMatch(
      /^Cannot read the kubeconfig \/nowhere: /,
    );
    expect((await cli(2, 'agents', '--context', 'nowhere')).stderr).toContain('kubectl config get-contexts');
    const away = join(folder, 'away.yaml');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'away',
      contexts: [{ name: 'away', context: { cluster: 'away', user: 'away' } }],
      clusters: [{ name: 'away', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'away', user: { token: 'nobody' } }],
    };
    await writeFile(away, JSON.stringify(config));
    for (const command of ['agents', 'doctor'])
      expect((await cli(1, command, '--kubeconfig', away)).stderr).toMatch(
        /does not answer[^]*ECONNREFUSED[^]*context/,
      );
    expect((await cli(1, 'start', 'echo', '-n', 'nowhere-at-all')).stderr).toMatch(/bullpen org create nowhere-at-all/);
  });
});
