import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { labels } from '../../src/api/names.ts';
import { agents } from '../../src/api/resources.ts';
import { secrets } from '../../src/kube/resources.ts';
import { imageNames } from '../cluster/base-images.ts';
import { nodeScript, smallPod, useBullpen } from '../support/bullpen.ts';

/** What agents of protocol Http find in their pods, and what kinds of them run there. */
const bullpen = await useBullpen('e2e-http-agent', { http: true });
const { kube } = bullpen;

async function createSecret(name: string, data: Record<string, string>, asBody = false): Promise<void> {
  const metadata = { name, ...(asBody && { labels: { [labels.body]: '' } }) };
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  await kube.api.create(secrets, kube.namespace, { metadata, data: Object.fromEntries(encoded) as never });
}

/** A server that is ready at once, and in its session runs a script, which may `return` the status of its answer. */
const serving = (before: string, inSession: string): { command: string[] } =>
  nodeScript(`import { createServer } from 'node:http';
    process.once('SIGTERM', () => process.exit(0));
    ${before}
    createServer(async (request, response) => {
      if (request.url === '/bot') { ${inSession} }
      response.end('{}');
    }).listen(process.env.PORT);`);

/** In a session: asks for ICE servers as Pipecat's base image does. */
const askForIce = `
  const answer = await fetch(process.env.ICE_CONFIG_URL);
  console.log('ice ' + answer.status + ' ' + (await answer.text()));`;

describe.concurrent('the body of a session', () => {
  it('of 1 MB, from a Secret, reaches the agent byte for byte', async () => {
    const head = '{"seconds": 0, "text": "grüße, 世界 😀", "rest": "';
    const rest = randomBytes(500_000)
      .toString('hex')
      .slice(Buffer.byteLength(head) + 2);
    const body = `${head}${rest}"}`;
    expect(Buffer.byteLength(body)).toBe(1_000_000);
    await createSecret('large', { call: body }, true);
    await bullpen.echoAgent('large');
    await kube.createSession('large', { agent: 'large', bodyFrom: { secretKeyRef: { name: 'large', key: 'call' } } });
    const ended = await kube.sessionInPhase('large', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toContain(
      `body 1000000 ${createHash('sha256').update(body).digest('hex')}\nover\n`,
    );
  });

  it('that has none is {}', async () => {
    await bullpen.echoAgent('bodiless');
    await kube.createSession('bodiless', { agent: 'bodiless', maxSessionDuration: 1 });
    const ended = await kube.sessionInPhase('bodiless', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    expect(await bullpen.logs(ended)).toContain('\ntext {}\n');
  });
});

describe.concurrent('an agent', () => {
  it('finds its port, its goodbye window, its environment and its secrets, and ICE servers', async () => {
    await createSecret('words', { API_KEY: 'from the secret set', GREETING: 'not this one' });
    const names = ['PORT', 'SHUTDOWN_TIMEOUT', 'GREETING', 'API_KEY'];
    await bullpen.echoAgent('surroundings', {
      ...serving(`for (const name of ${JSON.stringify(names)}) console.log(name, process.env[name]);`, askForIce),
      port: 9000,
      terminationGracePeriodSeconds: 7,
      secretSet: 'words',
      env: [{ name: 'GREETING', value: 'hello' }],
    });
    await kube.createSession('surroundings', { agent: 'surroundings' });
    const ended = await kube.sessionInPhase('surroundings', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    const [port, timeout, greeting, key, ice = ''] = (await bullpen.logs(ended)).split('\n');
    expect([port, timeout]).toEqual(['PORT 9000', 'SHUTDOWN_TIMEOUT 7']);
    expect([greeting, key]).toEqual(['GREETING hello', 'API_KEY from the secret set']);
    expect(JSON.parse(ice.replace(/^ice 200 /, ''))).toEqual({
      iceConfig: { iceServers: [{ urls: expect.stringMatching(/^stun:/) as string }] },
    });
  });

  it('may serve ICE servers of its own, on the port where Bullpen would', async () => {
    const own = `createServer((_, response) => response.end('of my own')).listen(9090, '127.0.0.1');`;
    await bullpen.echoAgent('own-ice', serving(own, askForIce));
    await kube.createSession('own-ice', { agent: 'own-ice' });
    const ended = await kube.sessionInPhase('own-ice', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toBe('ice 200 of my own\n');
  });

  it('that holds the port of the supervisor cannot run, and the Session says so', async () => {
    const holding = `createServer((_, response) => response.end('mine')).listen(17412);`;
    await bullpen.echoAgent('squatter', { ...serving(holding, ''), startTimeoutSeconds: 30 });
    await kube.createSession('squatter', { agent: 'squatter' });
    const { status } = await kube.sessionInPhase('squatter', 'Ended');
    expect(status).toMatchObject({ reason: 'StartTimeout' });
    expect(status?.message).toContain('cannot listen on port 17412');
  });

  it('that holds the port of the supervisor shows in the Agent before a session needs it', async () => {
    const holding = `createServer((_, response) => response.end('mine')).listen(17412);`;
    await bullpen.echoAgent('idle-squatter', { ...serving(holding, ''), scaling: { minAgents: 1 } });
    const notReady = await kube.when(agents, 'idle-squatter', 'not Ready', (agent) =>
      (agent.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'False'),
    );
    expect(notReady.status?.conditions?.find(({ type }) => type === 'Ready')?.message).toContain('17412');
  });

  it('may be an image that runs as root, takes one connection at a time, and knows POST /bot only', async () => {
    const handle = `read -r method path version
      while read -r name value && [ "$name" != "$(printf '\\r')" ]; do
        case "$name" in [Cc]ontent-[Ll]ength:) length=\${value%?};; esac
      done
      if [ "$method $path" = "POST /bot" ]; then
        { echo "uid $(id -u)"; head -c "$length"; echo; } >&2
        status='200 OK'
      else
        status='404 Not Found'
      fi
      printf 'HTTP/1.1 %s\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' "$status"`;
    const listen = `trap 'exit 0' TERM; while :; do nc -l -p "$PORT" -e sh -c "$0" & wait $!; done`;
    await bullpen.echoAgent('shell', {
      image: imageNames.busybox,
      command: ['sh', '-c', listen, handle],
      podTemplate: smallPod(),
    });
    await kube.createSession('shell', { agent: 'shell', body: 'no JSON, and no line break' });
    const ended = await kube.sessionInPhase('shell', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toBe('uid 0\nno JSON, and no line break\n');
  });

  it('may answer all but POST /bot with 501, as Python’s http.server does when it is taught no more', async () => {
    const server = `import { createServer } from 'node:http';
      process.once('SIGTERM', () => process.exit(0));
      createServer((request, response) => {
        console.log(request.method, request.url);
        response.writeHead(request.method === 'POST' ? 200 : 501).end();
      }).listen(process.env.PORT);`;
    await bullpen.echoAgent('post-only', nodeScript(server));
    await kube.createSession('post-only', { agent: 'post-only' });
    const ended = await kube.sessionInPhase('post-only', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toMatch(/^(GET \/readyz\n)+POST \/bot\n$/);
  });
});
