import { describe, expect, it } from 'vitest';
import { sessions } from '../../src/api/resources.ts';
import { pods } from '../../src/kube/resources.ts';
import { imageNames } from '../cluster/base-images.ts';
import { report, SLOW_MACHINE, untilTold, useBullpen } from '../support/bullpen.ts';

/** The life of a session of protocol Process on a real kubelet, and the ways in which it ends by itself. */
const bullpen = await useBullpen('e2e-session-life');
const { kube } = bullpen;

describe.concurrent('a session', () => {
  it('runs to success, with its id and body as environment and file', async () => {
    await kube.createAgent(
      'echo',
      'echo "id=$BULLPEN_SESSION_ID env=$BULLPEN_BODY"; printf "file="; cat "$BULLPEN_BODY_FILE"',
    );
    const body = '{"text": "grüße, 世界 \\n \\"quoted\\" $HOME $(HOME)"}';
    const created = await kube.createSession('success', { agent: 'echo', body });
    const ended = await kube.sessionInPhase('success', 'Ended');
    expect(ended.status).toMatchObject({
      reason: 'Completed',
      exitCode: 0,
      startKind: 'Cold',
      endedAtSource: 'Kubelet',
    });
    expect(await bullpen.logs(ended)).toBe(`id=${created.metadata.uid} env=${body}\nfile=${body}`);
  });

  it('ends as Failed with the agent’s exit code', async () => {
    await kube.createAgent('seven', 'echo oh no; exit 7');
    await kube.createSession('failed', { agent: 'seven' });
    const { status } = await kube.sessionInPhase('failed', 'Ended');
    expect(status).toMatchObject({ reason: 'Failed', exitCode: 7, message: 'the agent exited with code 7: oh no' });
  });

  it('ends as OutOfMemory when the agent uses more than its limit', async () => {
    await kube.createAgent('greedy', 'head -c 200m /dev/zero | tail');
    await kube.createSession('oom', { agent: 'greedy' });
    const { status } = await kube.sessionInPhase('oom', 'Ended');
    expect(status).toMatchObject({ reason: 'OutOfMemory' });
  });

  it('is cut at its limit, not before it, and the agent hears TERM', async () => {
    const limit = 4;
    await kube.createAgent('endless', untilTold());
    await kube.createSession('limit', { agent: 'endless', maxSessionDuration: limit });
    const ended = await kube.sessionInPhase('limit', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    const overshoot = ((await bullpen.wroteAt(ended, 'term')) - (await bullpen.wroteAt(ended, 'start'))) / 1000 - limit;
    report(`cut ${overshoot.toFixed(2)} s after the limit of ${limit} s`);
    expect(overshoot).toBeGreaterThanOrEqual(-0.1); // The shell writes its first line a moment after its container started.
    expect(overshoot).toBeLessThan(2 * SLOW_MACHINE);
  });

  it('ends with the agent, whatever else in its pod never would', async () => {
    const forever = { name: 'forever', image: imageNames.busybox, command: ['sh', '-c', untilTold()] };
    const withForever = { podTemplate: { spec: { containers: [forever] } } };
    await kube.createAgent('accompanied', 'sleep 1; exit 3', withForever);
    await kube.createAgent('accompanied-well', 'sleep 1; exit 0', withForever);
    await kube.createSession('accompanied-failure', { agent: 'accompanied' });
    await kube.createSession('accompanied-success', { agent: 'accompanied-well' });
    const failure = await kube.sessionInPhase('accompanied-failure', 'Ended');
    expect(failure.status).toMatchObject({ reason: 'Failed', exitCode: 3, message: 'the agent exited with code 3' });
    const success = await kube.sessionInPhase('accompanied-success', 'Ended');
    expect(success.status).toMatchObject({ reason: 'Completed', exitCode: 0 });
    expect(await bullpen.logs(success, '--container=forever')).toBe('start\nterm\n');
  });

  it('fails with its init container, and says which one', async () => {
    const check = { name: 'check', image: imageNames.busybox, command: ['sh', '-c', 'echo no licence; exit 4'] };
    await kube.createAgent('unlicensed', 'echo never', { podTemplate: { spec: { initContainers: [check] } } });
    await kube.createSession('init', { agent: 'unlicensed' });
    const ended = await kube.sessionInPhase('init', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Failed', exitCode: 4 });
    expect(ended.status?.message).toContain('init container check exited with code 4');
    expect(ended.status?.startedAt).toBeUndefined();
    expect(await bullpen.logs(ended, '--container=check')).toBe('no licence\n');
  });

  it('goes with its pod when its time to live after the end is over, and not before', async () => {
    await kube.createAgent('brief', 'exit 0');
    await kube.createSession('ttl', { agent: 'brief', ttlSecondsAfterFinished: 3 });
    await kube.createSession('ttl-zero', { agent: 'brief', ttlSecondsAfterFinished: 0 });
    await kube.createSession('ttl-unset', { agent: 'brief' });
    const ended = await kube.sessionInPhase('ttl', 'Ended');
    await Promise.all(['ttl', 'ttl-zero'].map((name) => kube.gone(sessions, name)));
    const keptMs = Date.now() - Date.parse(ended.status?.endedAt ?? '');
    report(`ttlSecondsAfterFinished 3: gone ${(keptMs / 1000).toFixed(2)} s after its end`);
    expect(keptMs).toBeGreaterThanOrEqual(3000);
    await kube.gone(pods, ended.status?.podName ?? '');
    expect((await kube.sessionInPhase('ttl-unset', 'Ended')).status?.reason).toBe('Completed');
  });
});
