import { describe, expect, it } from 'vitest';
import { agents } from '../../src/api/resources.ts';
import { networkPolicies, podDisruptionBudgets } from '../../src/kube/resources.ts';
import { report, secondsSince, untilTold, useBullpen } from '../support/bullpen.ts';

/** An Agent that is deleted while a session of it runs. */
const bullpen = await useBullpen('e2e-agent-deletion');
const { kube } = bullpen;

async function deleteAgent(name: string): Promise<void> {
  await kube.api.delete(agents, { namespace: kube.namespace, name });
  await kube.gone(agents, name);
}

describe('an Agent that is deleted while a session runs', () => {
  it('leaves the session to its own end, protected as before, and refuses new ones', async () => {
    const untilAsked = 'echo start; until [ -e /tmp/go ]; do sleep 0.2; done; echo done';
    await kube.createAgent('doomed', untilAsked);
    await kube.createSession('survivor', { agent: 'doomed' });
    const running = await kube.sessionInPhase('survivor', 'Running');
    await kube.when(podDisruptionBudgets, 'bullpen-sessions', 'there', () => true);
    await kube.when(networkPolicies, 'bullpen-sessions', 'there', () => true);

    await deleteAgent('doomed');
    await kube.createSession('orphan', { agent: 'doomed' });
    expect((await kube.sessionInPhase('orphan', 'Rejected')).status?.reason).toBe('AgentNotFound');
    await expect(bullpen.evict(running.status?.podName ?? '')).rejects.toThrow(/disruption budget/);
    const { metadata } = await kube.when(networkPolicies, 'bullpen-sessions', 'there', () => true);
    expect(metadata.deletionTimestamp).toBeUndefined();

    await bullpen.kubectl(['exec', running.status?.podName ?? '', '--', 'touch', '/tmp/go']);
    const ended = await kube.sessionInPhase('survivor', 'Ended');
    const endedAt = Date.now();
    expect(ended.status).toMatchObject({ reason: 'Completed', exitCode: 0 });
    expect(await bullpen.logs(ended)).toBe('start\ndone\n');
    await kube.gone(podDisruptionBudgets, 'bullpen-sessions');
    await kube.gone(networkPolicies, 'bullpen-sessions');
    report(`PodDisruptionBudget and NetworkPolicy gone ${secondsSince(endedAt)} after the last session`);
  });

  it('still counts that session when it is made again under its name', async () => {
    await kube.createAgent('phoenix', untilTold(), { scaling: { maxAgents: 1 } });
    await kube.createSession('old', { agent: 'phoenix' });
    await kube.sessionInPhase('old', 'Running');
    await deleteAgent('phoenix');
    await kube.createAgent('phoenix', untilTold(), { scaling: { maxAgents: 1 } });
    await kube.createSession('new', { agent: 'phoenix' });
    expect((await kube.sessionInPhase('new', 'Rejected')).status?.reason).toBe('AtCapacity');
    await kube.when(agents, 'phoenix', 'one active session', ({ status }) => status?.activeSessions === 1);
    await kube.patchSession('old', { stop: true });
    expect((await kube.sessionInPhase('old', 'Ended')).status?.reason).toBe('Stopped');
    await kube.createSession('newer', { agent: 'phoenix' });
    await kube.sessionInPhase('newer', 'Starting', 'Running');
  });

  it('rejects a session that still waits its turn', async () => {
    await kube.createAgent('vanishing', untilTold(), { scaling: { maxAgents: 0 }, whenFull: 'Queue' });
    await kube.createSession('waiting', { agent: 'vanishing' });
    await kube.sessionWhen('waiting', 'a place in the queue', (s) => s.status?.reason === 'Queued');
    await deleteAgent('vanishing');
    expect((await kube.sessionInPhase('waiting', 'Rejected')).status?.reason).toBe('AgentNotFound');
  });
});
