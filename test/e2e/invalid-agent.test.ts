import { describe, expect, it } from 'vitest';
import type { Agent } from '../../src/api/agent.ts';
import { agents } from '../../src/api/resources.ts';
import { useBullpen } from '../support/bullpen.ts';

/** Agents that cannot run sessions: they say why, refuse at once, and recover when they are changed. */
const bullpen = await useBullpen('e2e-invalid-agent');
const { kube } = bullpen;

function conditionOf(agent: Agent, type: string) {
  return agent.status?.conditions?.find((condition) => condition.type === type);
}

async function whenStalled(name: string): Promise<Agent> {
  return await kube.when(agents, name, 'Stalled', (agent) => conditionOf(agent, 'Stalled')?.status === 'True');
}

describe.concurrent('an Agent whose template Kubernetes calls invalid', () => {
  it('is found out by its first Session, refuses later ones at once, and works again when it is changed', async () => {
    const containers = [
      { name: 'agent', resources: { limits: { memory: '64Mi' } }, volumeMounts: [{ name: 'no', mountPath: '/no' }] },
    ];
    await kube.createAgent('invalid', 'echo fine', { podTemplate: { spec: { containers } } });
    await kube.createSession('first', { agent: 'invalid' });
    const first = await kube.sessionInPhase('first', 'Rejected');
    expect(first.status).toMatchObject({ reason: 'AgentInvalid' });
    expect(first.status?.message).toContain('volumeMounts[0].name');

    const stalled = await whenStalled('invalid');
    expect(conditionOf(stalled, 'Ready')).toMatchObject({ status: 'False', reason: 'InvalidSpec' });
    expect(conditionOf(stalled, 'Stalled')?.message).toContain('volumeMounts[0].name');
    await kube.createSession('second', { agent: 'invalid' });
    expect((await kube.sessionInPhase('second', 'Rejected')).status).toMatchObject({ reason: 'AgentInvalid' });

    await kube.patchAgent('invalid', { podTemplate: { spec: { containers: [{ name: 'agent' }] } } });
    await kube.when(agents, 'invalid', 'Ready', (agent) => conditionOf(agent, 'Ready')?.status === 'True');
    await kube.createSession('third', { agent: 'invalid' });
    expect((await kube.sessionInPhase('third', 'Ended')).status).toMatchObject({ reason: 'Completed' });
  });
});

describe.concurrent('an Agent whose template reaches for its node', () => {
  const agentWith = (securityContext: object) => ({ containers: [{ name: 'agent', securityContext }] });
  it.each([
    ['host-path', { volumes: [{ name: 'root', hostPath: { path: '/' } }] }, 'volumes[root].hostPath'],
    ['host-network', { hostNetwork: true }, 'hostNetwork'],
    ['host-pid', { hostPID: true }, 'hostPID'],
    ['privileged', agentWith({ privileged: true }), 'securityContext.privileged'],
    ['capabilities', agentWith({ capabilities: { add: ['SYS_ADMIN'] } }), 'capabilities.add'],
    ['token', { automountServiceAccountToken: true }, 'automountServiceAccountToken'],
  ])('is refused before it makes a pod: %s', async (name, spec, field) => {
    await kube.createAgent(name, 'exit 0', { podTemplate: { spec } });
    const stalled = await whenStalled(name);
    expect(conditionOf(stalled, 'Ready')).toMatchObject({ status: 'False', reason: 'TemplateNotAllowed' });
    expect(conditionOf(stalled, 'Ready')?.message).toContain(`podTemplate.spec.`);
    expect(conditionOf(stalled, 'Ready')?.message).toContain(field);
    await kube.createSession(name, { agent: name });
    const { status } = await kube.sessionInPhase(name, 'Rejected');
    expect(status).toMatchObject({ reason: 'AgentInvalid' });
    expect(status?.message).toContain(field);
  });
});
