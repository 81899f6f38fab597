import { describe, expect, it } from 'vitest';
import type { Session } from '../../src/api/session.ts';
import { nodes, podDisruptionBudgets, pods } from '../../src/kube/resources.ts';
import { imageNames } from '../cluster/base-images.ts';
import { report, secondsSince, SLOW_MACHINE, untilTold, useBullpen } from '../support/bullpen.ts';

/** Pods that somebody takes away from their session. None is ever started again. */
const bullpen = await useBullpen('e2e-loss');
const { kube } = bullpen;
const { node } = bullpen.cluster;

/** A session that runs, and the name of its pod. */
async function start(name: string, script = untilTold(), spec = {}): Promise<string> {
  await kube.createAgent(name, script, spec);
  await kube.createSession(name, { agent: name });
  const { status } = await kube.sessionInPhase(name, 'Running');
  return status?.podName ?? '';
}

/** The session when it is over, with the time that has passed since `since`. */
async function over(name: string, since: number): Promise<Session> {
  const ended = await kube.sessionInPhase(name, 'Ended');
  report(`${name}: ${ended.status?.reason ?? ''}, ${secondsSince(since)} later: ${ended.status?.message ?? ''}`);
  // It is noticed: what nobody says of a pod takes the 300 s after which its node counts as lost.
  expect(Date.now() - since).toBeLessThan(10_000 * SLOW_MACHINE);
  return ended;
}

describe('eviction', () => {
  it('of a running session is refused', async () => {
    const pod = await start('guarded');
    await expect(bullpen.evict(pod)).rejects.toThrow(/disruption budget/);
    expect((await kube.session('guarded')).status?.phase).toBe('Running');
    await kube.deleteSession('guarded');
  });

  it('that gets past the budget ends the session as Lost, and says so', async () => {
    const pod = await start('evicted');
    // The controller would make the budget again at once.
    bullpen.controller.freeze();
    try {
      await kube.api.delete(podDisruptionBudgets, { namespace: kube.namespace, name: 'bullpen-sessions' });
      await bullpen.evict(pod);
    } finally {
      bullpen.controller.thaw();
    }
    const { status } = await over('evicted', Date.now());
    expect(status).toMatchObject({ reason: 'Lost' });
    expect(status?.message).toContain('the pod was evicted');
    await kube.when(podDisruptionBudgets, 'bullpen-sessions', 'there again', () => true);
  });

  it('of a session that has no node yet ends it as Lost, and says so', async () => {
    await kube.createAgent('nodeless', 'exit 0', { podTemplate: { spec: { nodeSelector: { nobody: 'has-it' } } } });
    await kube.createSession('nodeless', { agent: 'nodeless' });
    const { status } = await kube.sessionWhen('nodeless', 'the cause', (s) => s.status?.reason === 'Unschedulable');
    const since = Date.now();
    await bullpen.evict(status?.podName ?? '');
    const ended = await over('nodeless', since);
    expect(ended.status).toMatchObject({ reason: 'Lost' });
    expect(ended.status?.message).toContain('the pod was evicted');
    await bullpen.podsGone(ended);
  });

  it('by preemption ends the session as Lost, and says so', async () => {
    const { items } = await kube.api.list(nodes);
    const allocatable = items[0]?.status.allocatable?.['memory'] ?? '';
    const most = `${Math.floor(Number.parseInt(allocatable) * 0.6)}${allocatable.replace(/^\d+/, '')}`;
    const containers = [
      { name: 'agent', resources: { requests: { cpu: '5m', memory: most }, limits: { memory: most } } },
    ];
    await start('preempted', untilTold(), { podTemplate: { spec: { containers } } });
    await bullpen.kubectl(['create', 'priorityclass', 'e2e-loss-urgent', '--value=1000']);
    const since = Date.now();
    await kube.api.create(pods, kube.namespace, {
      metadata: { name: 'urgent' },
      spec: {
        restartPolicy: 'Never',
        priorityClassName: 'e2e-loss-urgent',
        containers: [{ name: 'main', image: imageNames.busybox, resources: { requests: { memory: most } } }],
      },
    });
    const { status } = await over('preempted', since);
    expect(status).toMatchObject({ reason: 'Lost' });
    expect(status?.message).toContain('the pod was preempted');
  });
});

describe.concurrent('a pod that is taken away', () => {
  it('by deletion ends the session as Lost; the agent hears TERM', async () => {
    const pod = await start('deleted');
    const since = Date.now();
    await kube.api.delete(pods, { namespace: kube.namespace, name: pod });
    const { status } = await over('deleted', since);
    expect(status).toMatchObject({ reason: 'Lost', message: 'the pod was deleted' });
    await kube.gone(pods, pod);
  });

  it('by force ends the session as Lost at once', async () => {
    const pod = await start('forced');
    const since = Date.now();
    await kube.api.delete(pods, { namespace: kube.namespace, name: pod }, { gracePeriodSeconds: 0 });
    const { status } = await over('forced', since);
    expect(status).toMatchObject({ reason: 'Lost', message: 'the pod was deleted by force' });
    await kube.gone(pods, pod);
  });

  it('with its finalizer, behind the controller’s back, ends the session as Lost', async () => {
    const pod = await start('vanished');
    const ref = { namespace: kube.namespace, name: pod };
    bullpen.controller.freeze();
    try {
      await kube.api.patch(pods, ref, { type: 'merge', body: { metadata: { finalizers: null } } });
      await kube.api.delete(pods, ref, { gracePeriodSeconds: 0 });
    } finally {
      bullpen.controller.thaw();
    }
    const { status } = await over('vanished', Date.now());
    expect(status).toMatchObject({ reason: 'Lost', endedAtSource: 'Controller' });
  });
});

describe.runIf(node !== undefined)('a container runtime that fails', { concurrent: true }, () => {
  it.each([
    ['sandbox-polite', 'that exits with 0 when told to end', untilTold()],
    ['sandbox-failing', 'that exits with 7 when told to end', untilTold({ exitCode: 7 })],
    ['sandbox-deaf', 'that does not listen', 'echo start; exec sleep 3600'],
  ])('%s: kills the sandbox of an agent %s: Lost, never Completed', async (name, _what, script) => {
    const pod = await start(name, script);
    const since = Date.now();
    await node?.killSandbox(kube.namespace, pod);
    const { status } = await over(name, since);
    expect(status).toMatchObject({ reason: 'Lost' });
    expect(status?.message).toContain('sandbox');
  });

  it('kills the agent’s process: Failed with 137, which is not OutOfMemory', async () => {
    const pod = await start('killed');
    const since = Date.now();
    await node?.killContainer(kube.namespace, pod, 'agent');
    const { status } = await over('killed', since);
    expect(status).toMatchObject({ reason: 'Failed', exitCode: 137 });
  });
});
