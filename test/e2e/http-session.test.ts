import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { report, secondsSince, SLOW_MACHINE, useBullpen } from '../support/bullpen.ts';

/** Sessions of protocol Http on a real kubelet: the supervisor beside an agent that does what its body says. */
const bullpen = await useBullpen('e2e-http-session', { http: true });
const { kube } = bullpen;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

describe.concurrent('a session that starts cold', () => {
  it('tells the agent its body byte for byte, and ends when the agent answers', async () => {
    await bullpen.echoAgent('echo');
    const body = '{"seconds": 1, "text": "grüße, 世界 \\u0000 \\"quoted\\" 😀"}';
    const created = await kube.createSession('fidelity', { agent: 'echo', body });
    const ended = await kube.sessionInPhase('fidelity', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind: 'Cold', endedAtSource: 'Kubelet' });
    const log = await bullpen.logs(ended);
    expect(log).toContain(`session ${created.metadata.uid}\n`);
    expect(log).toContain('limit 7200 seconds\n');
    expect(log).toContain(`body ${Buffer.byteLength(body)} ${digest(body)}\n`);
    expect(log).toContain('goodbye\n');
  });

  it('is cut at its limit, and has its goodbye', async () => {
    await bullpen.echoAgent('endless');
    await kube.createSession('cut', { agent: 'endless', maxSessionDuration: 3, body: '{"goodbyeSeconds": 1}' });
    const ended = await kube.sessionInPhase('cut', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    const goodbye = await bullpen.wroteAt(ended, 'goodbye');
    const late = goodbye - Date.parse(ended.status?.startedAt ?? '') - 3000;
    report(`cut: TERM ${(late / 1000).toFixed(2)} s after the limit`);
    expect(late).toBeGreaterThanOrEqual(0);
  });

  it('ends at once when it is stopped', async () => {
    await bullpen.echoAgent('stoppable');
    await kube.createSession('stop', { agent: 'stoppable', body: '{}' });
    await kube.sessionInPhase('stop', 'Running');
    const toldAt = Date.now();
    await kube.patchSession('stop', { stop: true });
    const ended = await kube.sessionInPhase('stop', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
    const goodbye = await bullpen.wroteAt(ended, 'goodbye');
    report(`stop: TERM ${secondsSince(toldAt, goodbye)} after spec.stop`);
    expect(goodbye - toldAt).toBeLessThan(3000 * SLOW_MACHINE);
  });

  it.each([
    ['an error', '{"status": 500}', { reason: 'Failed', message: 'the agent answered POST /bot with status 500' }],
    ['a crash', '{"crash": 7}', { reason: 'Failed', exitCode: 7 }],
    ['an exception in the bot, which Pipecat answers with 200', '{"raise": true}', { reason: 'Completed' }],
  ])('tells %s apart', async (what, body, expected) => {
    const name = `told-${what.length}`;
    await bullpen.echoAgent(name);
    await kube.createSession(name, { agent: name, body });
    expect((await kube.sessionInPhase(name, 'Ended')).status).toMatchObject(expected);
  });
});

describe('a session that starts warm', () => {
  it('is running in a moment, in a pod that waited', async () => {
    await bullpen.echoAgent('warm', { scaling: { minAgents: 2, maxAgents: 6 } });
    await bullpen.warmPods('warm', 2);
    for (const name of ['warm-0', 'warm-1']) {
      const since = Date.now();
      await kube.createSession(name, { agent: 'warm', body: '{"seconds": 1}' });
      const running = await kube.sessionInPhase(name, 'Running', 'Ended');
      report(`${name}: running ${secondsSince(since)} after it was made`);
      expect(running.status).toMatchObject({ startKind: 'Warm' });
      expect((await kube.sessionInPhase(name, 'Ended')).status).toMatchObject({ reason: 'Completed' });
    }
    await bullpen.warmPods('warm', 2);
  });
});
