import { describe, expect, it } from 'vitest';
import type { Session } from '../../src/api/session.ts';
import { sessions } from '../../src/api/resources.ts';
import { report, secondsSince, SLOW_MACHINE, untilTold, useBullpen } from '../support/bullpen.ts';

/** Stopping and deleting sessions, in every state of their pod. */
const bullpen = await useBullpen('e2e-session-stop');
const { kube } = bullpen;

/** Sets spec.stop, and returns the Session when it has ended, and when it was told. */
async function stop(name: string): Promise<{ ended: Session; toldAt: number }> {
  const toldAt = Date.now();
  await kube.patchSession(name, { stop: true });
  const ended = await kube.sessionInPhase(name, 'Ended');
  report(`${name}: ended ${secondsSince(toldAt)} after spec.stop`);
  return { ended, toldAt };
}

describe.concurrent('stopping a session', () => {
  it('sends TERM at once, leaves it a goodbye, and keeps its logs', async () => {
    await kube.createAgent('polite', untilTold({ goodbyeSeconds: 1 }));
    await kube.createSession('stop-running', { agent: 'polite' });
    const running = await kube.sessionInPhase('stop-running', 'Running');
    // Beyond its first second: the kubelet is slower to see a changed deadline of a pod that has just begun.
    const oldEnough = Date.parse(running.status?.startedAt ?? '') + 3000;
    await new Promise((resolve) => setTimeout(resolve, oldEnough - Date.now()));
    const { ended, toldAt } = await stop('stop-running');
    expect(ended.status).toMatchObject({ reason: 'Stopped', exitCode: 0 });
    expect(await bullpen.logs(ended)).toBe('start\nterm\n');
    const term = await bullpen.wroteAt(ended, 'term');
    report(`stop-running: TERM ${secondsSince(toldAt, term)} after spec.stop`);
    expect(term - toldAt).toBeLessThan(2_000 * SLOW_MACHINE);
  });

  it('works in the first second of its pod', async () => {
    await kube.createAgent('young', untilTold());
    await kube.createSession('stop-young', { agent: 'young' });
    await kube.sessionInPhase('stop-young', 'Running');
    const { ended, toldAt } = await stop('stop-young');
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
    const term = await bullpen.wroteAt(ended, 'term');
    report(`stop-young: TERM ${secondsSince(toldAt, term)} after spec.stop`);
    expect(term - toldAt).toBeLessThan(3_000 * SLOW_MACHINE);
  });

  it('works before its container has started', async () => {
    await kube.createAgent('unborn', untilTold());
    await kube.createSession('stop-starting', { agent: 'unborn' });
    await kube.sessionInPhase('stop-starting', 'Starting', 'Running');
    const { ended } = await stop('stop-starting');
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
  });

  it('works when its image cannot be pulled', async () => {
    await kube.createAgent('imageless', 'exit 0', { image: 'localhost/bullpen-test/nowhere:1' });
    await kube.createSession('stop-imageless', { agent: 'imageless' });
    await kube.sessionWhen('stop-imageless', 'the cause', ({ status }) => status?.reason === 'ImagePullFailed');
    const { ended, toldAt } = await stop('stop-imageless');
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
    expect(ended.status?.startedAt).toBeUndefined();
    expect(Date.now() - toldAt).toBeLessThan(20_000);
  });

  it('works when it is not scheduled yet, and leaves no pod', async () => {
    await kube.createAgent('nodeless', 'exit 0', { podTemplate: { spec: { nodeSelector: { nobody: 'has-it' } } } });
    await kube.createSession('stop-nodeless', { agent: 'nodeless' });
    await kube.sessionWhen('stop-nodeless', 'the cause', ({ status }) => status?.reason === 'Unschedulable');
    const { ended } = await stop('stop-nodeless');
    expect(ended.status).toMatchObject({ reason: 'Stopped', usageSeconds: 0 });
    await bullpen.podsGone(ended);
  });

  it('before it was admitted rejects it', async () => {
    await kube.createAgent('narrow', untilTold(), { scaling: { maxAgents: 0 }, whenFull: 'Queue' });
    await kube.createSession('stop-queued', { agent: 'narrow' });
    await kube.sessionWhen('stop-queued', 'a place in the queue', ({ status }) => status?.reason === 'Queued');
    await kube.patchSession('stop-queued', { stop: true });
    expect((await kube.sessionInPhase('stop-queued', 'Rejected')).status?.reason).toBe('StoppedBeforeStart');
  });

  it('kills an agent that does not listen when its goodbye is over', async () => {
    await kube.createAgent('deaf', `trap '' TERM; echo start; while :; do sleep 60 & wait $!; done`);
    await kube.createSession('stop-deaf', { agent: 'deaf' });
    await kube.sessionInPhase('stop-deaf', 'Running');
    const { ended } = await stop('stop-deaf');
    expect(ended.status).toMatchObject({ reason: 'Stopped', exitCode: 137 });
  });
});

describe.concurrent('deleting a session', () => {
  const policies = ['Background', 'Foreground', 'Orphan'] as const;

  it.each(policies)('stops it and leaves nothing behind: %s', async (policy) => {
    const name = `delete-${policy.toLowerCase()}`;
    await kube.createAgent(name, untilTold());
    await kube.createSession(name, { agent: name });
    const running = await kube.sessionInPhase(name, 'Running');
    const toldAt = Date.now();
    await kube.deleteSession(name, policy);
    await kube.gone(sessions, name);
    await bullpen.podsGone(running);
    report(`${name}: nothing left ${secondsSince(toldAt)} after the deletion`);
  });

  it.each(policies)('removes the pod that is kept for the logs of an ended one: %s', async (policy) => {
    const name = `delete-ended-${policy.toLowerCase()}`;
    await kube.createAgent(name, 'exit 0');
    await kube.createSession(name, { agent: name });
    const ended = await kube.sessionInPhase(name, 'Ended');
    await kube.deleteSession(name, policy);
    await kube.gone(sessions, name);
    await bullpen.podsGone(ended);
  });

  it('works while its pod is not scheduled, and while it waits its turn', async () => {
    await kube.createAgent('homeless', 'exit 0', { podTemplate: { spec: { nodeSelector: { nobody: 'has-it' } } } });
    await kube.createAgent('closed', 'exit 0', { scaling: { maxAgents: 0 }, whenFull: 'Queue' });
    await kube.createSession('delete-nodeless', { agent: 'homeless' });
    await kube.createSession('delete-queued', { agent: 'closed' });
    const nodeless = await kube.sessionWhen(
      'delete-nodeless',
      'the cause',
      (s) => s.status?.reason === 'Unschedulable',
    );
    await kube.sessionWhen('delete-queued', 'a place in the queue', (s) => s.status?.reason === 'Queued');
    await Promise.all(['delete-nodeless', 'delete-queued'].map((name) => kube.deleteSession(name)));
    await Promise.all(['delete-nodeless', 'delete-queued'].map((name) => kube.gone(sessions, name)));
    await bullpen.podsGone(nodeless);
  });

  it('leaves a session of the same name that is made at once untouched', async () => {
    await kube.createAgent('again', untilTold({ goodbyeSeconds: 1 }));
    await kube.createSession('again', { agent: 'again' });
    const first = await kube.sessionInPhase('again', 'Running');
    await kube.deleteSession('again');
    await kube.gone(sessions, 'again');
    await kube.createSession('again', { agent: 'again' });
    const second = await kube.sessionInPhase('again', 'Running');
    await bullpen.podsGone(first);
    expect(second.status?.podName).not.toBe(first.status?.podName);
    expect((await kube.session('again')).status?.phase).toBe('Running');
  });
});
