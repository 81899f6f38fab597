import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Agent } from '../../src/api/agent.ts';
import { agents } from '../../src/api/resources.ts';
import { imageNames } from '../cluster/base-images.ts';
import { ROOT_AGENT, smallPod, useBullpen } from '../support/bullpen.ts';

/** Pods that the namespace's rules do not admit: a LimitRange, and the pod security standard `restricted`. */
const bullpen = await useBullpen('e2e-admission', {
  labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
  http: true,
});
const { kube } = bullpen;

/** What `restricted` asks for beyond what every session pod has. */
const nonRoot = { securityContext: { runAsNonRoot: true, runAsUser: 65_532 } };
const one = { scaling: { minAgents: 1, maxAgents: 4 } };
const small = { requests: { cpu: '5m', memory: '16Mi' }, limits: { memory: '64Mi' } };

describe.concurrent('in a namespace that enforces the restricted standard', () => {
  it('an Agent that may run as root is not admitted, and the Session says what to set', async () => {
    await kube.createAgent('root', 'exit 0', { startTimeoutSeconds: 3 });
    await kube.createSession('root', { agent: 'root' });
    const waits = await kube.sessionWhen('root', 'the cause', (s) => s.status?.reason === 'AdmissionDenied');
    expect(waits.status?.message).toMatch(/restricted.*runAsNonRoot=true/);
    const ended = await kube.sessionInPhase('root', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'StartTimeout' });
    expect(ended.status?.message).toMatch(/runAsNonRoot=true/);
    expect(ended.status?.podName).toBeUndefined();
  });

  it('the example Agent runs', async () => {
    const example = parse(await readFile(new URL('../../examples/agent.yaml', import.meta.url), 'utf8')) as Agent;
    const env = [{ name: 'COUNT_TO', value: '1' }];
    await kube.api.create(agents, kube.namespace, {
      ...example,
      spec: { ...example.spec, image: imageNames.busybox, env },
    });
    await kube.createSession('example', { agent: example.metadata.name, body: 'count' });
    const ended = await kube.sessionInPhase('example', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toBe('session example was told: count\n1\ndone\n');
  });

  it('a LimitRange that its pod exceeds is named, and the Session starts when it goes', async () => {
    await bullpen.kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'tiny' },
      spec: { limits: [{ type: 'Container', max: { memory: '1Gi' } }] },
    });
    const containers = [{ name: 'agent', resources: { limits: { cpu: '50m', memory: '2Gi' } } }];
    await kube.createAgent('wide', 'exit 0', { podTemplate: { spec: { ...nonRoot, containers } } });
    await kube.createSession('wide', { agent: 'wide' });
    const waits = await kube.sessionWhen('wide', 'the cause', (s) => s.status?.reason === 'AdmissionDenied');
    expect(waits.status?.message).toMatch(/maximum memory usage per Container is 1Gi/);
    await bullpen.kubectl(['delete', 'limitrange', 'tiny']);
    await kube.sessionInPhase('wide', 'Running', 'Ended');
  });

  it('a pod that runs as root against its own word is named, and does not start', async () => {
    const containers = [{ name: 'agent', resources: small }];
    const context = { securityContext: { runAsNonRoot: true } };
    await kube.createAgent('liar', 'exit 0', { podTemplate: { spec: { ...context, containers } } });
    await kube.createSession('liar', { agent: 'liar' });
    const waits = await kube.sessionWhen('liar', 'the cause', (s) => s.status?.reason === 'ContainerConfigError');
    expect(waits.status?.message).toMatch(/run as root/);
  });
});

describe.concurrent('an Agent of protocol Http in a namespace that enforces the restricted standard', () => {
  it('that may run as root is not admitted: its Session and its condition say what to set, and then it runs', async () => {
    await bullpen.echoAgent('http-root', { ...ROOT_AGENT, ...one });
    await kube.createSession('http-root', { agent: 'http-root', body: '{"seconds": 0}' });
    const waits = await kube.sessionWhen('http-root', 'the cause', (s) => s.status?.reason === 'AdmissionDenied');
    expect(waits.status).toMatchObject({ phase: 'Starting' });
    expect(waits.status?.message).toMatch(/restricted.*runAsNonRoot=true/);
    const refused = await kube.when(agents, 'http-root', 'not Ready', (agent) => ready(agent)?.status === 'False');
    expect(ready(refused)).toMatchObject({ reason: 'AdmissionDenied' });
    expect(ready(refused)?.message).toMatch(/restricted.*runAsNonRoot=true/);

    const podTemplate = smallPod({ securityContext: { runAsNonRoot: true, runAsUser: 1234 } });
    await kube.patchAgent('http-root', { podTemplate });
    await bullpen.warmPods('http-root', 1);
    await kube.when(agents, 'http-root', 'Ready', (agent) => ready(agent)?.status === 'True');
    await kube.createSession('http-warm', { agent: 'http-root', body: '{"seconds": 0}' });
    // The one that waited comes back to it by itself.
    for (const name of ['http-warm', 'http-root']) {
      const ended = await kube.sessionInPhase(name, 'Ended');
      expect(ended.status).toMatchObject({ reason: 'Completed' });
      expect(await bullpen.logs(ended)).toMatch(/^uid 1234\n/);
    }
  });

  it('whose image is root against its own word is not started: its condition says so, until it says who it is', async () => {
    const asWord = smallPod({ securityContext: { runAsNonRoot: true } });
    await bullpen.echoAgent('http-liar', { ...ROOT_AGENT, ...one, podTemplate: asWord });
    const refused = await kube.when(agents, 'http-liar', 'not Ready', (agent) => {
      const condition = ready(agent);
      return condition?.status === 'False' && condition.reason === 'ContainerConfigError';
    });
    expect(ready(refused)?.message).toMatch(/runAsNonRoot.*run as root/);
    const podTemplate = smallPod({ securityContext: { runAsNonRoot: true, runAsUser: 1234 } });
    await kube.patchAgent('http-liar', { podTemplate });
    await kube.when(agents, 'http-liar', 'Ready', (agent) => ready(agent)?.status === 'True');
    await kube.createSession('http-liar', { agent: 'http-liar' });
    const ended = await kube.sessionInPhase('http-liar', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind: 'Warm' });
    expect(await bullpen.logs(ended)).toMatch(/^uid 1234\n/);
  });

  it('that does not runs cold as whom its template says', async () => {
    const podTemplate = smallPod({ container: { securityContext: { runAsNonRoot: true, runAsUser: 1234 } } });
    await bullpen.echoAgent('http-cold', { podTemplate });
    await kube.createSession('http-cold', { agent: 'http-cold', body: '{"seconds": 0}' });
    const ended = await kube.sessionInPhase('http-cold', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind: 'Cold' });
  });
});

function ready(agent: Agent) {
  return agent.status?.conditions?.find(({ type }) => type === 'Ready');
}
