import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AgentSpecInput } from '../../src/api/agent.ts';
import { nodeScript, report, secondsSince, useBullpen } from '../support/bullpen.ts';
import { PlayedGateway, type OpenSocket } from '../support/played-gateway.ts';

/** Sessions that are one WebSocket, on a real kubelet; the test is the gateway. */
const bullpen = await useBullpen('e2e-web-socket', { http: true });
const { kube } = bullpen;
const gateway = new PlayedGateway(kube);
const transport = 'WebSocket';
const body = '{"text": "grüße, 世界 ?&+ 😀"}';

let script = '';

beforeAll(async () => {
  script = await readFile(new URL('../support/web-socket-agent.mjs', import.meta.url), 'utf8');
});

/** An Agent that serves /ws. */
async function talker(name: string, spec: Partial<AgentSpecInput> = {}): Promise<void> {
  await bullpen.echoAgent(name, { ...nodeScript(script), ...spec });
}

/** Words, and bytes of any number and value, go both ways. */
async function talk(socket: OpenSocket): Promise<void> {
  expect(await socket.exchange('grüße, 世界 😀')).toBe('grüße, 世界 😀');
  for (const bytes of [randomBytes(1), randomBytes(70_000), randomBytes(1_000_000)])
    expect(bytes.equals((await socket.exchange(bytes)) as Buffer)).toBe(true);
}

describe.concurrent('a session that is a WebSocket', () => {
  it('starts cold when somebody opens it, tells the agent what it is about, and is over when they close it', async () => {
    await talker('cold');
    const { uid } = (await kube.createSession('cold', { agent: 'cold', transport, body })).metadata;
    const since = Date.now();
    const socket = await gateway.open('cold');
    report(`web socket, cold: open ${secondsSince(since)} after the Session was made`);
    expect((await kube.sessionInPhase('cold', 'Running', 'Ended')).status).toMatchObject({ startKind: 'Cold' });
    await talk(socket);
    socket.close();
    expect(await socket.closed).toBe(1000);
    const ended = await kube.sessionInPhase('cold', 'Ended');
    expect(ended.status).toMatchObject({ phase: 'Ended', reason: 'Completed' });
    const log = await bullpen.logs(ended);
    expect(log).toContain(`session ${uid} at /ws\nbody ${body}\nthe caller closed\n`);
    expect(log).toContain('goodbye\n');
  });

  it('starts warm, has one caller only, and is over when the agent closes it', async () => {
    await talker('warm', { scaling: { minAgents: 1 } });
    const [pod] = await bullpen.warmPods('warm', 1);
    await kube.createSession('warm', { agent: 'warm', transport });
    const since = Date.now();
    const socket = await gateway.open('warm');
    report(`web socket, warm: open ${secondsSince(since)} after the Session was made`);
    const running = await kube.sessionInPhase('warm', 'Running', 'Ended');
    expect(running.status).toMatchObject({ startKind: 'Warm', podName: pod?.metadata.name });
    await talk(socket);
    expect(await gateway.refusal(running)).toEqual([409, 'NoWebSocket']);
    expect(await socket.exchange('still here')).toBe('still here');
    socket.send('close');
    expect(await socket.closed).toBe(1000);
    const ended = await kube.sessionInPhase('warm', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toContain('body {}\nclosing\n');
  });

  it('waits for a late caller in the warm pod that it has', async () => {
    await talker('late', { scaling: { minAgents: 1 }, startTimeoutSeconds: 60 });
    const [pod] = await bullpen.warmPods('late', 1);
    const { uid } = (await kube.createSession('late', { agent: 'late', transport })).metadata;
    // Longer than a warm start may take that waits for nobody.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const socket = await gateway.open('late');
    expect(await socket.exchange('hello')).toBe('hello');
    socket.close();
    const ended = await kube.sessionInPhase('late', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', podName: pod?.metadata.name });
    expect([ended.metadata.uid, ended.status?.attempt]).toEqual([uid, undefined]);
  });

  it('is cut at its limit', async () => {
    await talker('limited');
    await kube.createSession('limited', { agent: 'limited', transport, maxSessionDuration: 3 });
    const socket = await gateway.open('limited');
    expect(await socket.exchange('hello')).toBe('hello');
    expect(await socket.closed).toBe(1006);
    const ended = await kube.sessionInPhase('limited', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    expect(await bullpen.logs(ended)).toContain('goodbye\n');
  });

  it('is Failed when the agent crashes', async () => {
    await talker('crashing');
    await kube.createSession('crashing', { agent: 'crashing', transport });
    const socket = await gateway.open('crashing');
    socket.send('crash');
    expect(await socket.closed).toBe(1006);
    expect((await kube.sessionInPhase('crashing', 'Ended')).status).toMatchObject({ reason: 'Failed', exitCode: 3 });
  });

  it('is told that nobody came, and does not get another pod for it', async () => {
    await talker('lonely', { scaling: { minAgents: 1 }, startTimeoutSeconds: 12 });
    const [pod] = await bullpen.warmPods('lonely', 1);
    await kube.createSession('lonely', { agent: 'lonely', transport });
    const ended = await kube.sessionInPhase('lonely', 'Ended');
    expect(ended.status).toMatchObject({
      reason: 'StartTimeout',
      message: 'nobody opened its WebSocket within its start timeout',
      podName: pod?.metadata.name,
    });
    expect(ended.status).not.toHaveProperty('attempt');
  });
});

it('a session that is told by POST /bot has no WebSocket to open', async () => {
  await bullpen.echoAgent('bot');
  await kube.createSession('bot', { agent: 'bot', body: '{}' });
  const running = await kube.sessionInPhase('bot', 'Running');
  expect(await gateway.refusal(running)).toEqual([409, 'NoWebSocket']);
  await kube.patchSession('bot', { stop: true });
  expect((await kube.sessionInPhase('bot', 'Ended')).status).toMatchObject({ reason: 'Stopped' });
});

it('an Agent of protocol Process has no WebSocket to open', async () => {
  await kube.createAgent('process', 'sleep 1');
  await kube.createSession('process', { agent: 'process', transport });
  expect((await kube.sessionInPhase('process', 'Rejected')).status).toMatchObject({
    reason: 'SessionInvalid',
    message: expect.stringContaining('transport WebSocket is for Agents of protocol Http') as string,
  });
});
