import { describe, expect, it } from 'vitest';
import { agents } from '../../src/api/resources.ts';
import { report, secondsSince, untilTold, useBullpen } from '../support/bullpen.ts';

/** What a full, a paused or a shrunk Agent does with new sessions, and with those that it has. */
const bullpen = await useBullpen('e2e-capacity');
const { kube } = bullpen;

describe.concurrent('a full Agent', () => {
  it('rejects at once with whenFull Reject', async () => {
    await kube.createAgent('rejecting', untilTold(), { scaling: { maxAgents: 1 } });
    await kube.createSession('holder', { agent: 'rejecting' });
    await kube.sessionInPhase('holder', 'Starting', 'Running');
    const since = Date.now();
    await kube.createSession('refused', { agent: 'rejecting' });
    const { status } = await kube.sessionInPhase('refused', 'Rejected');
    report(`refused at capacity ${secondsSince(since)} after it was created`);
    expect(status).toMatchObject({ reason: 'AtCapacity' });
    expect(status?.message).toContain('1 of 1 sessions are active');
    expect(status?.podName).toBeUndefined();
  });

  it('queues with whenFull Queue: places are told, and served in order of arrival', async () => {
    await kube.createAgent('queueing', 'sleep 1', { scaling: { maxAgents: 1 }, whenFull: 'Queue' });
    const names = ['q1', 'q2', 'q3'];
    for (const name of names) await kube.createSession(name, { agent: 'queueing' });
    const waits = await kube.sessionWhen('q3', 'a place in the queue', (s) => s.status?.queuePosition !== undefined);
    expect(waits.status).toMatchObject({ phase: 'Pending', reason: 'Queued' });
    expect(waits.status?.queuePosition).toBeLessThanOrEqual(2);
    const ended = await Promise.all(names.map((name) => kube.sessionInPhase(name, 'Ended')));
    expect(ended.map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
    // Each began only after the one before it was over: by the clocks of the controller and of the node, which are one here.
    for (const [index, session] of ended.entries()) {
      const before = ended[index - 1];
      if (before === undefined) continue;
      const admittedAt = Date.parse(session.status?.admittedAt ?? '');
      expect(admittedAt).toBeGreaterThanOrEqual(Date.parse(before.status?.endedAt ?? ''));
      report(
        `${session.metadata.name}: admitted ${secondsSince(Date.parse(before.status?.endedAt ?? ''), admittedAt)} after the end of the one before`,
      );
    }
  });

  it('tells a place that has moved, and rejects when the queue takes too long', async () => {
    const queue = { whenFull: 'Queue', queueTimeoutSeconds: 14 } as const;
    await kube.createAgent('slow', untilTold(), { scaling: { maxAgents: 1 }, ...queue });
    await kube.createSession('slow-holder', { agent: 'slow' });
    await kube.sessionInPhase('slow-holder', 'Running');
    await kube.createSession('slow-1', { agent: 'slow' });
    await kube.sessionWhen('slow-1', 'position 1', (s) => s.status?.queuePosition === 1);
    await kube.createSession('slow-2', { agent: 'slow' });
    await kube.sessionWhen('slow-2', 'position 2', (s) => s.status?.queuePosition === 2);
    await kube.deleteSession('slow-1');
    await kube.sessionWhen('slow-2', 'position 1', (s) => s.status?.queuePosition === 1);
    const { status } = await kube.sessionInPhase('slow-2', 'Rejected');
    expect(status).toMatchObject({ reason: 'QueueTimeout' });
    const waited = Date.parse(status?.endedAt ?? '') - Date.parse(status?.queuedAt ?? '');
    report(`queue timeout after ${(waited / 1000).toFixed(2)} s, of 14 s`);
    expect(waited).toBeGreaterThanOrEqual(14_000);
    expect(waited).toBeLessThan(20_000);
  });

  it('counts a session that is stopping until its pod has ended', async () => {
    await kube.createAgent('parting', untilTold({ goodbyeSeconds: 3 }), {
      scaling: { maxAgents: 1 },
      terminationGracePeriodSeconds: 20,
    });
    await kube.createSession('parting', { agent: 'parting' });
    await kube.sessionInPhase('parting', 'Running');
    await kube.patchSession('parting', { stop: true });
    await kube.sessionInPhase('parting', 'Stopping');
    await kube.createSession('too-early', { agent: 'parting' });
    expect((await kube.sessionInPhase('too-early', 'Rejected')).status?.reason).toBe('AtCapacity');
    await kube.sessionInPhase('parting', 'Ended');
    await kube.createSession('in-time', { agent: 'parting' });
    await kube.sessionInPhase('in-time', 'Starting', 'Running');
  });
});

describe.concurrent('an Agent that changes', () => {
  it('cuts nobody when its maxAgents is lowered, and admits nobody until there is room', async () => {
    await kube.createAgent('shrinking', untilTold(), { scaling: { maxAgents: 2 } });
    for (const name of ['shrink-1', 'shrink-2']) await kube.createSession(name, { agent: 'shrinking' });
    await Promise.all(['shrink-1', 'shrink-2'].map((name) => kube.sessionInPhase(name, 'Running')));
    await kube.patchAgent('shrinking', { scaling: { maxAgents: 1 } });
    await kube.patchSession('shrink-1', { stop: true });
    await kube.sessionInPhase('shrink-1', 'Ended');
    await kube.createSession('shrink-3', { agent: 'shrinking' });
    const { status } = await kube.sessionInPhase('shrink-3', 'Rejected');
    expect(status).toMatchObject({ reason: 'AtCapacity' });
    expect(status?.message).toContain('1 of 1 sessions are active');
    expect((await kube.session('shrink-2')).status?.phase).toBe('Running');
  });

  it('refuses new sessions while it is paused, keeps those that run, and stays Ready', async () => {
    await kube.createAgent('pausing', untilTold());
    await kube.createSession('pausing-1', { agent: 'pausing' });
    await kube.sessionInPhase('pausing-1', 'Running');
    // A Session that is made at once may be seen before the change of its Agent is.
    const isReadyAs = async (reason: string): Promise<unknown> =>
      await kube.when(agents, 'pausing', `Ready because ${reason}`, ({ status }) =>
        (status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True' && c.reason === reason),
      );
    await kube.patchAgent('pausing', { paused: true });
    await isReadyAs('Paused');
    await kube.createSession('pausing-2', { agent: 'pausing' });
    expect((await kube.sessionInPhase('pausing-2', 'Rejected')).status?.reason).toBe('AgentPaused');
    expect((await kube.session('pausing-1')).status?.phase).toBe('Running');
    await kube.patchAgent('pausing', { paused: false });
    await isReadyAs('Ready');
    await kube.createSession('pausing-3', { agent: 'pausing' });
    await kube.sessionInPhase('pausing-3', 'Starting', 'Running');
  });
});

describe.concurrent('a session with startBefore', () => {
  it('is rejected when that has passed, also while it waits its turn', async () => {
    await kube.createAgent('shut', 'exit 0', { scaling: { maxAgents: 0 }, whenFull: 'Queue' });
    await kube.createSession('too-late', { agent: 'shut', startBefore: '2020-01-01T00:00:00Z' });
    expect((await kube.sessionInPhase('too-late', 'Rejected')).status?.reason).toBe('StartBeforePassed');
    const soon = new Date(Date.now() + 4000).toISOString();
    await kube.createSession('too-long', { agent: 'shut', startBefore: soon });
    await kube.sessionWhen('too-long', 'a place in the queue', (s) => s.status?.reason === 'Queued');
    const { status } = await kube.sessionInPhase('too-long', 'Rejected');
    expect(status?.reason).toBe('StartBeforePassed');
    expect(Date.parse(status?.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(soon));
  });
});
