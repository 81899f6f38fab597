import { describe, expect, it } from 'vitest';
import { pods, type Resource } from '../../src/kube/resources.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { report, secondsSince, SLOW_MACHINE, useBullpen } from '../support/bullpen.ts';

/** Sessions whose pod does not start: the cause is named at once, and time runs out as the Agent says. */
const bullpen = await useBullpen('e2e-starting');
const { kube } = bullpen;

const resourceQuotas: Resource<KubeObject & { spec: object; status?: { hard?: object } }> = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};

/** Only pods with this priority class are counted by the quota of this file, so that it holds up one test only. */
const counted = { podTemplate: { spec: { priorityClassName: 'e2e-starting-counted' } } };

describe.concurrent('a session that does not start', () => {
  it('names an image that does not exist as soon as Kubernetes does, and ends at its start timeout', async () => {
    const image = 'localhost/bullpen-test/nowhere:1';
    await kube.createAgent('imageless', 'exit 0', { image, startTimeoutSeconds: 6 });
    await kube.createSession('imageless', { agent: 'imageless' });
    const { status } = await kube.sessionWhen('imageless', 'a pod', (s) => s.status?.podName !== undefined);
    const [shownAt, namedAt] = await Promise.all([
      kube
        .when(pods, status?.podName ?? '', 'a failed pull', (pod) =>
          /Err|BackOff/.test(pod.status.containerStatuses?.[0]?.state?.waiting?.reason ?? ''),
        )
        .then(() => Date.now()),
      kube.sessionWhen('imageless', 'the cause', (s) => s.status?.reason === 'ImagePullFailed').then(() => Date.now()),
    ]);
    report(`image: named ${secondsSince(shownAt, namedAt)} after Kubernetes showed it`);
    expect(namedAt - shownAt).toBeLessThan(1_000 * SLOW_MACHINE);
    const ended = await kube.sessionInPhase('imageless', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'StartTimeout' });
    expect(ended.status?.message).toMatch(/did not start within 6 s: .*nowhere/);
    const took = Date.parse(ended.status?.stoppingAt ?? '') - Date.parse(ended.status?.admittedAt ?? '');
    report(`image: given up ${(took / 1000).toFixed(2)} s after its admission, of 6 s`);
    expect(took).toBeGreaterThanOrEqual(6_000);
    expect(took).toBeLessThan(12_000);
  });

  it('says that no node fits, and ends at its start timeout without a pod', async () => {
    const nobody = { podTemplate: { spec: { nodeSelector: { nobody: 'has-it' } } } };
    await kube.createAgent('nodeless', 'exit 0', { ...nobody, startTimeoutSeconds: 4 });
    await kube.createSession('nodeless', { agent: 'nodeless' });
    const waits = await kube.sessionWhen('nodeless', 'the cause', (s) => s.status?.reason === 'Unschedulable');
    expect(waits.status).toMatchObject({ phase: 'Starting' });
    const ended = await kube.sessionInPhase('nodeless', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'StartTimeout', usageSeconds: 0 });
    expect(ended.status?.message).toMatch(/did not start within 4 s: .*node/);
    await bullpen.podsGone(ended);
  });

  it('waits for its quota, says so, and starts when the quota is raised', async () => {
    const name = 'e2e-starting-counted';
    await bullpen.kubectl(['create', 'priorityclass', name, '--value=10']);
    const scopeSelector = { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: [name] }] };
    await kube.api.create(resourceQuotas, kube.namespace, {
      metadata: { name },
      spec: { hard: { pods: '0' }, scopeSelector },
    });
    await kube.when(resourceQuotas, name, 'in force', ({ status }) => status?.hard !== undefined);
    await kube.createAgent('counted', 'echo ran', counted);
    await kube.createSession('counted', { agent: 'counted' });
    const waits = await kube.sessionWhen('counted', 'the cause', (s) => s.status?.reason === 'QuotaExceeded');
    expect(waits.status).toMatchObject({ phase: 'Starting' });
    expect(waits.status?.message).toContain('exceeded quota: e2e-starting-counted');
    const raisedAt = Date.now();
    const ref = { namespace: kube.namespace, name };
    await kube.api.patch(resourceQuotas, ref, { type: 'merge', body: { spec: { hard: { pods: '5' } } } });
    await kube.sessionInPhase('counted', 'Running', 'Ended');
    report(`quota: started ${secondsSince(raisedAt)} after it was raised`);
    expect((await kube.sessionInPhase('counted', 'Ended')).status).toMatchObject({ reason: 'Completed' });
  });

  it('fails with what the container runtime says when its command does not exist', async () => {
    await kube.createAgent('commandless', '', { command: ['/bin/nowhere'], args: [] });
    await kube.createSession('commandless', { agent: 'commandless' });
    const { status } = await kube.sessionInPhase('commandless', 'Ended');
    expect(status).toMatchObject({ reason: 'Failed', exitCode: 128 });
    expect(status?.message).toContain('the agent could not be started');
    expect(status?.message).toContain('/bin/nowhere');
    expect(status?.startedAt).toBeUndefined();
  });

  it('names a Secret that its container needs and that is not there', async () => {
    await kube.createAgent('secretless', 'echo "$WORD"', { secretSet: 'words', startTimeoutSeconds: 5 });
    await kube.createSession('secretless', { agent: 'secretless' });
    const waits = await kube.sessionWhen('secretless', 'the cause', (s) => s.status?.reason === 'ContainerConfigError');
    expect(waits.status?.message).toContain('words');
    const { status } = await kube.sessionInPhase('secretless', 'Ended');
    expect(status).toMatchObject({ reason: 'StartTimeout' });
    expect(status?.message).toContain('words');
  });
});
