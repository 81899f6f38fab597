import { describe, expect, it } from 'vitest';
import { events } from '../../src/kube/resources.ts';
import { untilTold, useBullpen } from '../support/bullpen.ts';

/** What a person at a terminal sees, and what scripts wait for. */
const bullpen = await useBullpen('e2e-kubectl');
const { kube } = bullpen;

async function table(...args: string[]): Promise<{ header: string[]; rows: string[][] }> {
  const { stdout } = await bullpen.kubectl(args);
  const [header = [], ...rows] = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/\s{2,}/).map((cell) => cell.trim()));
  return { header, rows };
}

describe.concurrent('kubectl get', () => {
  it('lists sessions with agent, phase, reason, pod and start', async () => {
    await kube.createAgent('listed', 'exit 3');
    await kube.createSession('listed', { agent: 'listed' });
    const { status } = await kube.sessionInPhase('listed', 'Ended');
    const { header, rows } = await table('get', 'sessions', 'listed');
    expect(header).toEqual(['NAME', 'AGENT', 'PHASE', 'REASON', 'POD', 'START', 'AGE']);
    expect(rows[0]?.slice(0, 6)).toEqual(['listed', 'listed', 'Ended', 'Failed', status?.podName, 'Cold']);
    const wide = await table('get', 'ses', 'listed', '-o', 'wide');
    expect(wide.header.slice(7)).toEqual(['NODE', 'LIMIT', 'STARTED', 'ENDED', 'MESSAGE']);
    expect(wide.rows[0]?.[7]).toBe(status?.nodeName);
    expect(wide.rows[0]?.at(-1)).toBe('the agent exited with code 3');
  });

  it('selects sessions by agent and by phase', async () => {
    await kube.createAgent('selected', untilTold(), { scaling: { maxAgents: 1 } });
    await kube.createSession('selected-1', { agent: 'selected' });
    await kube.sessionInPhase('selected-1', 'Running');
    await kube.createSession('selected-2', { agent: 'selected' });
    await kube.sessionInPhase('selected-2', 'Rejected');
    const selector = 'spec.agent=selected,status.phase=Running';
    const { stdout } = await bullpen.kubectl(['get', 'sessions', '--field-selector', selector, '-o', 'name']);
    expect(stdout).toBe('session.bullpen.dev/selected-1\n');
  });

  it('lists agents with image, active, max, warm and readiness', async () => {
    const agent = await kube.createAgent('shown', untilTold(), { scaling: { maxAgents: 7 } });
    await bullpen.kubectl(['wait', '--for=condition=Ready', 'agent/shown', '--timeout=60s']);
    const { header, rows } = await table('get', 'agents', 'shown');
    expect(header).toEqual(['NAME', 'IMAGE', 'ACTIVE', 'MAX', 'WARM', 'READY', 'AGE']);
    expect(rows[0]?.slice(0, 6)).toEqual(['shown', agent.spec.image, '0', '7', '0', 'True']);
  });
});

describe.concurrent('kubectl wait', () => {
  it('waits for the end of a session and for its milestones', async () => {
    await kube.createAgent('awaited', 'sleep 1');
    await bullpen.kubectl(['wait', '--for=condition=Ready', 'agent/awaited', '--timeout=60s']);
    await kube.createSession('awaited', { agent: 'awaited' });
    const until = (what: string) => bullpen.kubectl(['wait', `--for=${what}`, 'session/awaited', '--timeout=60s']);
    await Promise.all(['condition=Admitted', 'condition=Started', 'condition=Finished'].map(until));
    await until('jsonpath={.status.phase}=Ended');
    const { stdout } = await bullpen.kubectl(['get', 'session', 'awaited', '-o', 'jsonpath={.status.reason}']);
    expect(stdout).toBe('Completed');
  });
});

describe.concurrent('kubectl describe', () => {
  it('shows the Event of a failure, of a refusal, and none of a success', async () => {
    await kube.createAgent('failing', 'exit 9');
    await kube.createAgent('succeeding', 'exit 0');
    await kube.createSession('failing', { agent: 'failing' });
    await kube.createSession('refused', { agent: 'nobody' });
    await kube.createSession('succeeding', { agent: 'succeeding' });
    await kube.sessionInPhase('succeeding', 'Ended');
    await eventOf('failing', 'Failed');
    await eventOf('refused', 'AgentNotFound');
    const [failing, refused, succeeding] = await Promise.all(
      ['failing', 'refused', 'succeeding'].map((name) => bullpen.kubectl(['describe', 'session', name])),
    );
    expect(failing?.stdout).toMatch(/Warning\s+Failed\s.*bullpen\.dev\/controller.*the agent exited with code 9/);
    expect(refused?.stdout).toMatch(/Warning\s+AgentNotFound\s.*there is no Agent nobody in this namespace/);
    expect(succeeding?.stdout).toMatch(/Events:\s+<none>/);
  });

  it('shows the Event of an Agent that cannot work', async () => {
    await kube.createAgent('reaching', 'exit 0', { podTemplate: { spec: { hostNetwork: true } } });
    await eventOf('reaching', 'TemplateNotAllowed');
    const { stdout } = await bullpen.kubectl(['describe', 'agent', 'reaching']);
    expect(stdout).toMatch(/Warning\s+TemplateNotAllowed\s.*hostNetwork is refused/);
  });
});

/** Events are written after what they tell of. */
async function eventOf(name: string, reason: string): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const { items, resourceVersion } = await kube.api.list(events, { namespace: kube.namespace });
  const tells = (event: { regarding: { name?: string }; reason: string }): boolean =>
    event.regarding.name === name && event.reason === reason;
  if (items.some(tells)) return;
  for await (const event of kube.api.watch(events, { namespace: kube.namespace, resourceVersion, signal })) {
    if (event.type === 'ADDED' && tells(event.object)) return;
  }
}
