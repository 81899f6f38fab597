import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sessions } from '../../src/api/resources.ts';
import { nodes, pods } from '../../src/kube/resources.ts';
import { isWarm } from '../../src/controller/pool/warm-pods.ts';
import { isReady } from '../../src/pods/pod-facts.ts';
import { waitFor } from '../cluster/wait.ts';
import { report, secondsSince, untilTold, useBullpen } from '../support/bullpen.ts';

/** The kubelet is down for half a minute, as in an upgrade of its node, while sessions of all kinds run there. */
const bullpen = await useBullpen('e2e-node-outage', { http: true });
const { kube } = bullpen;
const { node } = bullpen.cluster;

const OUTAGE_MS = 30_000;
const NODE_LOST_AFTER_SECONDS = 3;
const LIMIT = 12;
const untilAsked = 'echo start; until [ -e /tmp/go ]; do sleep 0.2; done; echo done';
const scripts = {
  /** Goes on through the outage. */
  patient: untilAsked,
  /** Ends by itself while nobody looks. */
  finishing: 'sleep 15; exit 4',
  limited: untilTold(),
  stopped: untilTold(),
  deleted: untilTold(),
  impatient: untilTold(),
};
const podNames: Record<string, string> = {};
let downSince = 0;
let upSince = 0;

describe.runIf(node !== undefined)('while the kubelet is down', () => {
  beforeAll(async () => {
    for (const [name, script] of Object.entries(scripts)) {
      const nodeLostAfterSeconds = name === 'impatient' ? NODE_LOST_AFTER_SECONDS : 300;
      await kube.createAgent(name, script, { nodeLostAfterSeconds });
      await kube.createSession(name, { agent: name, ...(name === 'limited' && { maxSessionDuration: LIMIT }) });
    }
    for (const name of Object.keys(scripts)) {
      podNames[name] = (await kube.sessionInPhase(name, 'Running')).status?.podName ?? '';
    }
    await bullpen.echoAgent('pool', { scaling: { minAgents: 2, maxAgents: 12 } });
    await bullpen.echoAgent('hasty', {
      scaling: { minAgents: 1, maxAgents: 4 },
      nodeLostAfterSeconds: NODE_LOST_AFTER_SECONDS,
    });
    await bullpen.warmPods('pool', 2);
    await bullpen.warmPods('hasty', 1);
    await kube.createSession('hasty', { agent: 'hasty' });
    podNames['hasty'] = (await kube.sessionInPhase('hasty', 'Running')).status?.podName ?? '';
    await kube.createSession('pooled', { agent: 'pool' });
    podNames['pooled'] = (await kube.sessionInPhase('pooled', 'Running')).status?.podName ?? '';
    await bullpen.warmPods('pool', 2);
    downSince = Date.now();
    await node?.stopKubelet();
  });

  it('a waiting pod takes a session as long as nobody knows of the outage', async () => {
    await kube.createSession('unaware', { agent: 'pool', body: '{"seconds": 1}' });
    const running = await kube.sessionInPhase('unaware', 'Running', 'Ended');
    report(`node not known to be silent: running ${secondsSince(downSince)} after the kubelet went`);
    expect(running.status).toMatchObject({ phase: 'Running', startKind: 'Warm' });
  });

  it('a session may be deleted or told to stop: what can be done is done', async () => {
    await kube.patchSession('stopped', { stop: true });
    expect((await kube.sessionInPhase('stopped', 'Stopping')).status?.reason).toBe('Stopped');
    await kube.deleteSession('deleted');
    await kube.gone(sessions, 'deleted');
  });

  it('a session counts as lost when its Agent says so, by how long the node has been silent', async () => {
    for (const name of ['impatient', 'hasty']) {
      const ended = await kube.sessionInPhase(name, 'Ended');
      report(`${name}, node silent: Lost ${secondsSince(downSince)} after the kubelet went, 20 s Kubernetes' own`);
      expect(ended.status).toMatchObject({ reason: 'Lost', endedAtSource: 'Controller' });
      expect(ended.status?.message).toBe(`node node-1 has been silent for ${NODE_LOST_AFTER_SECONDS} s`);
    }
  });

  it('a node that is known to be silent gives no waiting pod to a session', async () => {
    const silent = { what: 'the node to be called silent', timeoutMs: 90_000, intervalMs: 200 };
    await waitFor(async () => {
      const { status } = await kube.api.get(nodes, { name: node?.name ?? '' });
      return status.conditions?.some((condition) => condition.type === 'Ready' && condition.status !== 'True');
    }, silent);
    await kube.createSession('wary', { agent: 'pool', body: '{"seconds": 0}' });
    const waits = await kube.sessionWhen('wary', 'the cause', (s) => s.status?.reason === 'Unschedulable');
    expect(waits.status).toMatchObject({ phase: 'Starting' });
    expect((await kube.pod(waits.status?.podName ?? '')).spec?.nodeName).toBeUndefined();
  });

  it('nothing else is said to have ended, half a minute long', async () => {
    await sleep(Math.max(0, downSince + OUTAGE_MS - Date.now()));
    for (const name of ['patient', 'finishing', 'limited', 'pooled', 'unaware']) {
      expect((await kube.session(name)).status).toMatchObject({ phase: 'Running' });
    }
  });
});

describe.runIf(node !== undefined)('when the kubelet comes back', () => {
  beforeAll(async () => {
    await node?.startKubelet();
    upSince = Date.now();
    report(`the kubelet was down for ${secondsSince(downSince, upSince)}`);
  });

  afterAll(async () => {
    // Other files need it, whatever has failed here.
    await node?.startKubelet();
  });

  it('a session that ran on still runs, and completes', async () => {
    expect((await kube.session('patient')).status).toMatchObject({ phase: 'Running' });
    // The kubelet serves this a moment after it has begun to work.
    const go = ['exec', podNames['patient'] ?? '', '--', 'touch', '/tmp/go'];
    await waitFor(() => bullpen.kubectl(go), { what: 'the kubelet to run a command in the pod', timeoutMs: 60_000 });
    const ended = await kube.sessionInPhase('patient', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', exitCode: 0 });
    expect(await bullpen.logs(ended)).toBe('start\ndone\n');
  });

  it('a session that ended meanwhile has the end that it had, at the time when it was', async () => {
    const { status } = await kube.sessionInPhase('finishing', 'Ended');
    expect(status).toMatchObject({ reason: 'Failed', exitCode: 4, endedAtSource: 'Kubelet' });
    expect(Date.parse(status?.endedAt ?? '')).toBeLessThan(upSince);
  });

  it('a session that has reached its limit is cut', async () => {
    const { status } = await kube.sessionInPhase('limited', 'Ended');
    report(`limit reached meanwhile: ended ${secondsSince(upSince)} after the kubelet came back`);
    expect(status).toMatchObject({ reason: 'DeadlineExceeded' });
    expect(status?.usageSeconds).toBeGreaterThan(LIMIT);
  });

  it('a session that was told to stop does so, and one that was deleted leaves nothing', async () => {
    expect((await kube.sessionInPhase('stopped', 'Ended')).status).toMatchObject({ reason: 'Stopped' });
    report(`stop: ended ${secondsSince(upSince)} after the kubelet came back`);
    await kube.gone(pods, podNames['deleted'] ?? '');
  });

  it('a session of protocol Http that ran on still runs, and can be stopped', async () => {
    expect((await kube.session('pooled')).status).toMatchObject({ phase: 'Running' });
    await kube.patchSession('pooled', { stop: true });
    const ended = await kube.sessionInPhase('pooled', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Stopped', podName: podNames['pooled'] });
  });

  it('a session of protocol Http that ended meanwhile has the end that it had', async () => {
    const { status } = await kube.sessionInPhase('unaware', 'Ended');
    expect(status).toMatchObject({ reason: 'Completed' });
  });

  it('a session that waited for the node starts, and pods wait there again', async () => {
    expect((await kube.sessionInPhase('wary', 'Ended')).status).toMatchObject({ reason: 'Completed' });
    report(`session that waited for the node: over ${secondsSince(upSince)} after the kubelet came back`);
    // There may be more than it takes for a while: those that waited through the outage, and those that were made for them.
    const waiting = { what: 'two waiting pods', timeoutMs: 90_000, intervalMs: 200 };
    await waitFor(async () => (await bullpen.pods()).filter((pod) => isWarm(pod) && isReady(pod)).length >= 2, waiting);
  });

  it.each(['impatient', 'hasty'])(
    'the pod of a session that was lost (%s) is stopped, and the session stays lost',
    async (name) => {
      await kube.gone(pods, podNames[name] ?? '');
      report(`${name}, lost: its pod stopped ${secondsSince(upSince)} after the kubelet came back`);
      expect((await kube.session(name)).status).toMatchObject({ phase: 'Ended', reason: 'Lost' });
    },
  );
});
