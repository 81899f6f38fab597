import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import type { Agent as AgentResource } from '../../src/api/agent.ts';
import { readApiAccess } from '../cluster/api.ts';
import { waitFor } from '../cluster/wait.ts';
import { report, secondsSince, smallPod, useBullpen } from '../support/bullpen.ts';
import { ECHO_AGENT_IMAGE, loadPipecatBotImage, PIPECAT_BOT_IMAGE } from '../support/example-images.ts';

/** The example agents as what they are, containers with an HTTP server, in plain pods; and the bot in sessions of Bullpen. */
const NAMESPACE = 'e2e-example-agents';
const bullpen = await useBullpen(NAMESPACE, { http: true });
const { cluster, kube } = bullpen;
const access = await readApiAccess(cluster.kubeconfig);
// Not through the machine's network: other clusters than our own have pods that only their API server can reach.
const { ca, cert, key, token, insecure } = access;
const connections = new Agent({
  connect: { rejectUnauthorized: !insecure, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
});

const examples = [
  { example: 'echo-agent', image: ECHO_AGENT_IMAGE, short: '{"seconds": 1}', endless: '{}', goodbye: /^goodbye$/m },
  {
    example: 'pipecat-bot',
    image: PIPECAT_BOT_IMAGE,
    short: '{"say": ["hello"], "pause": 1}',
    endless: '{}',
    goodbye: /said: goodbye$/m,
  },
];

beforeAll(() => loadPipecatBotImage(cluster, report));
afterAll(() => connections.destroy());

describe.each(examples)('the example $example', ({ example, image, short, endless, goodbye }) => {
  const server = new AgentPod(example, image);

  it('is ready soon, as nobody in particular and on a read-only file system', async () => {
    const since = Date.now();
    await server.start();
    report(`${example}: ready ${secondsSince(since)} after its pod was made`);
    expect((await server.call('GET', '/livez')).status).toBe(200);
    expect((await server.call('GET', '/nothing')).status).toBe(404);
  });

  it('answers POST /bot when the session is over', async () => {
    const since = Date.now();
    expect(await server.call('POST', '/bot', short)).toEqual({ status: 200, text: '{}' });
    expect(Date.now() - since).toBeGreaterThanOrEqual(1_000);
    expect(await server.logs()).toContain('the-id');
  });

  it('refuses a body that is no JSON object', async () => {
    expect((await server.call('POST', '/bot', 'hello')).status).toBeGreaterThanOrEqual(400);
    expect((await server.call('POST', '/bot', '[]')).status).toBeGreaterThanOrEqual(400);
  });

  it('goes on when the caller hangs up, says goodbye when it is told to end, and exits with 0', async () => {
    await server.hangUp(endless);
    expect(await server.logs()).not.toMatch(goodbye);
    const { log, exitCode } = await server.end();
    expect(log).toMatch(goodbye);
    expect(exitCode).toBe(0);
  });

  it('has manifests that the API server takes', async () => {
    const folder = new URL(`../../examples/${example}/`, import.meta.url);
    const manifest = parse(await readFile(new URL('agent.yaml', folder), 'utf8')) as AgentResource;
    expect(manifest.spec.image).toBe(image);
    for (const name of ['agent.yaml', 'session.yaml']) {
      const file = new URL(name, folder).pathname;
      await cluster.kubectl(['create', '--dry-run=server', '--namespace', NAMESPACE, '--filename', file]);
    }
  });
});

describe('the example echo-agent', () => {
  const server = new AgentPod('echo-obeys', ECHO_AGENT_IMAGE);

  it('logs what it got byte for byte, and ends as the body says', async () => {
    await server.start();
    const body = '{"status": 503, "echo": "grüße, 世界"}';
    expect((await server.call('POST', '/bot', body)).status).toBe(503);
    expect((await server.call('POST', '/bot', '{"raise": true}')).status).toBe(200);
    const log = await server.logs();
    const digest = createHash('sha256').update(body).digest('hex');
    expect(log).toContain(`body ${Buffer.byteLength(body)} ${digest}\ntext ${body}\necho grüße, 世界\n`);
    expect(log).toContain('error: raised as told\n');
    await server.hangUp('{"crash": 7}');
    expect(await server.exitCode()).toBe(7);
  });
});

describe('the example pipecat-bot', () => {
  const server = new AgentPod('bot-talks', PIPECAT_BOT_IMAGE);

  it('answers every text, and its errors are in its log only', async () => {
    await server.start();
    expect((await server.call('POST', '/bot', '{"say": ["hello", "how are you?"]}')).status).toBe(200);
    expect((await server.call('POST', '/bot', '{"say": 5}')).status).toBe(200);
    const since = Date.now();
    expect((await server.call('POST', '/bot', '{}', { 'x-pcc-max-session-seconds': '1.5' })).status).toBe(200);
    expect(Date.now() - since).toBeGreaterThanOrEqual(1_500);
    const log = await server.logs();
    expect(log).toMatch(/the-id - said: you said hello\n[^]*said: you said how are you\?\n/);
    expect(log).toMatch(/ERROR .* The bot raised\n[^]*TypeError/);
    await server.end();
  });
});

describe('the example pipecat-bot in sessions', () => {
  it('hears what their bodies say, cold and warm, and says goodbye when it is stopped', async () => {
    const resources = { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '512Mi' } };
    await bullpen.echoAgent('bot', { image: PIPECAT_BOT_IMAGE, podTemplate: smallPod({ container: { resources } }) });
    for (const startKind of ['Cold', 'Warm']) {
      if (startKind === 'Warm') {
        await kube.patchAgent('bot', { scaling: { minAgents: 1 } });
        await bullpen.warmPods('bot', 1);
      }
      const name = `bot-${startKind.toLowerCase()}`;
      const since = Date.now();
      await kube.createSession(name, { agent: 'bot', body: '{"say": ["hello", "grüße, 世界 😀"]}' });
      await kube.sessionInPhase(name, 'Running', 'Ended');
      report(`pipecat-bot, ${startKind}: running ${secondsSince(since)} after it was made`);
      const ended = await kube.sessionInPhase(name, 'Ended');
      expect(ended.status).toMatchObject({ reason: 'Completed', startKind });
      const log = await bullpen.logs(ended);
      expect(log).toMatch(/said: you said hello\n[^]*said: you said grüße, 世界 😀\n/);
      expect(log).toContain(`${ended.metadata.uid} - `);
    }
    await bullpen.warmPods('bot', 1);
    await kube.createSession('bot-stopped', { agent: 'bot' });
    const running = await kube.sessionInPhase('bot-stopped', 'Running');
    const written = { what: 'the bot to begin', timeoutMs: 60_000, intervalMs: 200 };
    await waitFor(async () => (await bullpen.logs(running)).includes('Starting bot session'), written);
    await kube.patchSession('bot-stopped', { stop: true });
    const stopped = await kube.sessionInPhase('bot-stopped', 'Ended');
    expect(stopped.status).toMatchObject({ reason: 'Stopped' });
    expect(await bullpen.logs(stopped)).toMatch(/said: goodbye\n/);
  });
});

/** A pod of an agent alone, with no more rights than Bullpen's chart gives it at its strictest. */
class AgentPod {
  readonly #name: string;
  readonly #image: string;

  constructor(name: string, image: string) {
    this.#name = name;
    this.#image = image;
  }

  /** Resolves when the agent says that it is ready. */
  async start(): Promise<void> {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: this.#name },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 20,
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'agent',
            image: this.#image,
            imagePullPolicy: 'Never',
            securityContext: {
              readOnlyRootFilesystem: true,
              allowPrivilegeEscalation: false,
              capabilities: { drop: ['ALL'] },
            },
          },
        ],
      },
    };
    await this.#kubectl(['create', '--filename', '-'], JSON.stringify(pod));
    const ready = { what: `${this.#name} to be ready`, timeoutMs: 60_000 };
    await waitFor(async () => (await this.call('GET', '/readyz')).status === 200, ready);
  }

  async call(
    method: 'GET' | 'POST',
    path: string,
    body: string | null = null,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    const proxy = `/api/v1/namespaces/${NAMESPACE}/pods/${this.#name}:8080/proxy`;
    const answer = await request(`${access.server}${proxy}${path}`, {
      method,
      dispatcher: connections,
      headers: {
        'x-daily-session-id': 'the-id',
        'content-type': 'application/json',
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      body,
      ...(signal && { signal }),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  /** Starts a session and does not wait for its end. */
  async hangUp(body: string): Promise<void> {
    await this.call('POST', '/bot', body, {}, AbortSignal.timeout(1_000)).catch(() => undefined);
  }

  async logs(): Promise<string> {
    return (await this.#kubectl(['logs', this.#name])).stdout;
  }

  /** Tells the pod to end; resolves with what it wrote until then. */
  async end(): Promise<{ log: string; exitCode: number }> {
    const log = this.#kubectl(['logs', '--follow', this.#name]);
    // Its end is not to be seen on a pod that is deleted, so the pod is cut short.
    await this.#kubectl(['patch', 'pod', this.#name, '--patch', '{"spec": {"activeDeadlineSeconds": 1}}']);
    return { log: (await log).stdout, exitCode: await this.exitCode() };
  }

  async exitCode(): Promise<number> {
    const state = '{.status.containerStatuses[0].state.terminated.exitCode}';
    const over = { what: `${this.#name} to exit`, timeoutMs: 60_000 };
    const read = async (): Promise<string> =>
      (await this.#kubectl(['get', 'pod', this.#name, '--output', `jsonpath=${state}`])).stdout;
    return Number(await waitFor(async () => (await read()) || undefined, over));
  }

  async #kubectl(args: readonly string[], input?: string) {
    return await cluster.kubectl(['--namespace', NAMESPACE, ...args], { ...(input !== undefined && { input }) });
  }
}
