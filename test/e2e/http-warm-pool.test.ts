import { constants } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import type { Agent } from '../../src/api/agent.ts';
import { agents } from '../../src/api/resources.ts';
import { nodes, pods } from '../../src/kube/resources.ts';
import { agentStatus } from '../../src/pods/pod-facts.ts';
import { CommandError } from '../cluster/run.ts';
import { waitFor } from '../cluster/wait.ts';
import { ECHO_AGENT_IMAGE } from '../support/example-images.ts';
import { nodeScript, report, secondsSince, useBullpen } from '../support/bullpen.ts';

/** Pods that wait for a session, what goes wrong with them meanwhile, and who may take them away. */
const bullpen = await useBullpen('e2e-http-warm-pool', { http: true });
const { kube } = bullpen;

const one = { scaling: { minAgents: 1, maxAgents: 4 } };

function ready(agent: Agent) {
  return agent.status?.conditions?.find(({ type }) => type === 'Ready');
}

async function whenNotReady(name: string, reason: string): Promise<Agent> {
  return await kube.when(agents, name, `not Ready: ${reason}`, (agent) => {
    const condition = ready(agent);
    return condition?.status === 'False' && condition.reason === reason;
  });
}

/** Sends a signal to the agent in a pod, whose image has nothing but Node.js. */
async function signal(pod: string, name: 'SIGUSR1' | 'SIGUSR2'): Promise<void> {
  const tell = ['/usr/local/bin/node', '--eval', `process.kill(1, '${name}')`];
  try {
    await bullpen.kubectl(['exec', pod, '--container=agent', '--', ...tell]);
  } catch (error) {
    // An agent that ends at once takes who told it with it: Linux kills whatever else runs in its container.
    if (!(error instanceof CommandError && error.code === 128 + constants.signals.SIGKILL)) throw error;
  }
}

describe.concurrent('an agent in a waiting pod', () => {
  it('that crashes is started again in it, and the pod serves a session then', async () => {
    const crash = `process.once('SIGUSR2', () => process.exit(3)); await import('/app/server.mjs');`;
    await bullpen.echoAgent('crashes', { ...one, ...nodeScript(crash) });
    const [pod] = await bullpen.warmPods('crashes', 1);
    const name = pod?.metadata.name ?? '';
    await signal(name, 'SIGUSR2');
    await kube.when(pods, name, 'started again', (latest) => {
      const status = agentStatus(latest);
      return status?.restartCount === 1 && status.state?.running !== undefined;
    });
    const [same] = await bullpen.warmPods('crashes', 1);
    expect(same?.metadata.name).toBe(name);
    await kube.createSession('crashes', { agent: 'crashes', body: '{"seconds": 0}' });
    const ended = await kube.sessionInPhase('crashes', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed', startKind: 'Warm', podName: name });
  });

  it('that hangs is not given the session which came for it: another pod gets that', async () => {
    const hang = `import { createServer } from 'node:http';
      import { setTimeout as sleep } from 'node:timers/promises';
      let hangs = false;
      process.once('SIGUSR2', () => { hangs = true; });
      // It takes its time to end, too.
      process.once('SIGTERM', () => setTimeout(() => process.exit(0), hangs ? 4000 : 0));
      createServer((request, response) => {
        console.log(request.method + ' ' + request.url);
        if (!hangs) response.end('{}');
      }).listen(process.env.PORT);`;
    await bullpen.echoAgent('hangs', { ...one, ...nodeScript(hang) });
    const [pod] = await bullpen.warmPods('hangs', 1);
    const name = pod?.metadata.name ?? '';
    await signal(name, 'SIGUSR2');
    // Kubernetes takes three seconds to notice.
    await kube.createSession('hangs', { agent: 'hangs' });
    const since = Date.now();
    const ended = await kube.sessionInPhase('hangs', 'Ended');
    report(`an agent that hangs: ${ended.status?.reason ?? ''} ${secondsSince(since)} after the session was made`);
    expect(ended.status).toMatchObject({ reason: 'Completed', attempt: 1 });
    expect(ended.status?.podName).not.toBe(name);
  });

  it('that ends as soon as it has started shows in the Agent and in a session, with its exit code and last words', async () => {
    const exits = nodeScript(`console.error('no key'); process.exit(9);`);
    await bullpen.echoAgent('broken', { ...one, ...exits, startTimeoutSeconds: 25 });
    await kube.createSession('broken', { agent: 'broken' });
    const { status } = await kube.sessionInPhase('broken', 'Ended');
    expect(status).toMatchObject({ reason: 'StartTimeout' });
    expect(status?.message).toMatch(/exited with code 9.*: no key$/);
    const agent = await whenNotReady('broken', 'CrashLoopBackOff');
    expect(ready(agent)?.message).toMatch(/exited with code 9.*: no key$/);
  });

  it('whose image cannot be pulled shows in the Agent, and gets well with another image', async () => {
    const image = 'localhost/bullpen-test/nowhere:1';
    await bullpen.echoAgent('imageless', { ...one, image });
    const agent = await whenNotReady('imageless', 'ImagePullFailed');
    expect(ready(agent)?.message).toContain('nowhere');
    await kube.patchAgent('imageless', { image: ECHO_AGENT_IMAGE });
    await bullpen.warmPods('imageless', 1);
    await kube.when(agents, 'imageless', 'Ready', (latest) => ready(latest)?.status === 'True');
  });

  it('of a new image that cannot be pulled leaves the one before serving, also for more sessions than pods of it waited', async () => {
    await bullpen.echoAgent('broken-later', one);
    await bullpen.warmPods('broken-later', 1);
    const good = await kube.when(
      agents,
      'broken-later',
      'good',
      ({ status }) => status?.lastReadyRevision !== undefined,
    );
    await kube.patchAgent('broken-later', { image: 'localhost/bullpen-test/nowhere:1' });
    await kube.when(agents, 'broken-later', 'served by the revision before', (agent) =>
      (ready(agent)?.message ?? '').endsWith('until then Sessions get pods of the revision before'),
    );
    await whenNotReady('broken-later', 'ImagePullFailed');
    for (const name of ['broken-later-1', 'broken-later-2', 'broken-later-3']) {
      await bullpen.warmPods('broken-later', 1);
      await kube.createSession(name, { agent: 'broken-later', body: '{"seconds": 0}' });
      const { status } = await kube.sessionInPhase(name, 'Ended');
      expect(status).toMatchObject({ reason: 'Completed', startKind: 'Warm' });
      const pod = await kube.pod(status?.podName ?? '');
      expect(pod.metadata.labels?.['bullpen.dev/revision']).toBe(good.status?.lastReadyRevision);
    }
  });

  it('that is never ready shows in the Agent, and a session waits no longer than its start timeout', async () => {
    const never = `import { createServer } from 'node:http';
      process.once('SIGTERM', () => process.exit(0));
      createServer((_, response) => response.writeHead(503).end()).listen(process.env.PORT);`;
    await bullpen.echoAgent('never', { ...one, ...nodeScript(never), startTimeoutSeconds: 5 });
    expect(ready(await whenNotReady('never', 'AgentNotReady'))?.message).toContain('does not say that it is ready');
    await kube.createSession('never', { agent: 'never' });
    const { status } = await kube.sessionInPhase('never', 'Ended');
    expect(status).toMatchObject({ reason: 'StartTimeout' });
    expect(status?.message).toMatch(/^the agent was not ready within its start timeout/);
    expect(status?.message).not.toContain('preparing the container');
    const took = Date.parse(status?.stoppingAt ?? status?.endedAt ?? '') - Date.parse(status?.admittedAt ?? '');
    report(`never ready: given up ${(took / 1000).toFixed(2)} s after its admission, of 5 s`);
  });
});

describe.concurrent('eviction', () => {
  it('of a pod that waits is allowed, and another takes its place', async () => {
    await bullpen.echoAgent('replaced', one);
    const [pod] = await bullpen.warmPods('replaced', 1);
    await bullpen.evict(pod?.metadata.name ?? '');
    await kube.gone(pods, pod?.metadata.name ?? '');
    const [other] = await bullpen.warmPods('replaced', 1);
    expect(other?.metadata.uid).not.toBe(pod?.metadata.uid);
  });

  it('of the pod of a session is refused, whether it is ready or not', async () => {
    const late = `import { createServer } from 'node:http';
      process.once('SIGTERM', () => process.exit(0));
      let ready = false;
      process.once('SIGUSR2', () => { ready = true; });
      createServer((request, response) => {
        if (request.url === '/readyz') response.writeHead(ready ? 200 : 503).end();
      }).listen(process.env.PORT);`;
    await bullpen.echoAgent('guarded', nodeScript(late));
    await kube.createSession('guarded', { agent: 'guarded' });
    const starting = await kube.sessionWhen('guarded', 'a pod', ({ status }) => status?.podName !== undefined);
    const name = starting.status?.podName ?? '';
    await kube.when(pods, name, 'Running', ({ status }) => status?.phase === 'Running');
    await expect(bullpen.evict(name)).rejects.toThrow(/disruption budget/);
    expect((await kube.session('guarded')).status?.phase).toBe('Starting');
    await signal(name, 'SIGUSR2');
    await kube.sessionInPhase('guarded', 'Running');
    await expect(bullpen.evict(name)).rejects.toThrow(/disruption budget/);
    expect((await kube.session('guarded')).status?.phase).toBe('Running');
    await kube.patchSession('guarded', { stop: true });
    expect((await kube.sessionInPhase('guarded', 'Ended')).status).toMatchObject({ reason: 'Stopped' });
  });

  it('of a pod that has not started is allowed; its agent has been told nothing, so the session gets another', async () => {
    await bullpen.echoAgent('pending', { image: 'localhost/bullpen-test/nowhere:1', startTimeoutSeconds: 60 });
    await kube.createSession('pending', { agent: 'pending' });
    const waits = await kube.sessionWhen('pending', 'the cause', (s) => s.status?.reason === 'ImagePullFailed');
    const since = Date.now();
    await bullpen.evict(waits.status?.podName ?? '');
    const again = await kube.sessionWhen('pending', 'another pod, or its end', ({ status }) =>
      status?.podName === undefined ? false : status.podName !== waits.status?.podName || status.phase === 'Ended',
    );
    report(`evicted before it started: ${again.status?.phase ?? ''} ${secondsSince(since)} later`);
    expect(again.status).toMatchObject({ phase: 'Starting', attempt: 1 });
    await kube.patchSession('pending', { stop: true });
    expect((await kube.sessionInPhase('pending', 'Ended')).status).toMatchObject({ reason: 'Stopped' });
  });
});

describe('a node that is drained', () => {
  let drained: string | undefined;

  afterAll(async () => {
    // Other files need it, whatever has failed here.
    if (drained !== undefined) await bullpen.kubectl(['uncordon', drained]);
  });

  it('loses the pods that wait at once, and those of sessions when these are over', async () => {
    await bullpen.echoAgent('drained', one);
    const [warm] = await bullpen.warmPods('drained', 1);
    await kube.createSession('drained', { agent: 'drained', body: '{"goodbyeSeconds": 1}' });
    const running = await kube.sessionInPhase('drained', 'Running');
    expect(running.status).toMatchObject({ startKind: 'Warm', podName: warm?.metadata.name });
    await waitFor(async () => (await kube.warmPods('drained', 1)).length === 1, { what: 'another', timeoutMs: 60_000 });
    const node = running.status?.nodeName ?? '';
    // Whatever else is on the node is not ours to take away.
    const drain = (timeout: string) =>
      bullpen.kubectl(['drain', node, '--pod-selector=bullpen.dev/agent=drained', `--timeout=${timeout}`]);
    drained = node;
    await expect(drain('8s')).rejects.toThrow(/disruption budget|timeout/);
    const left = (await bullpen.pods()).filter(
      ({ metadata, spec }) => metadata.labels?.['bullpen.dev/agent'] === 'drained' && spec?.nodeName === node,
    );
    expect(left.map(({ metadata }) => metadata.name)).toEqual([warm?.metadata.name]);
    expect((await kube.session('drained')).status?.phase).toBe('Running');

    const goesOn = drain('60s');
    await kube.patchSession('drained', { stop: true });
    await goesOn;
    expect((await kube.sessionInPhase('drained', 'Ended')).status).toMatchObject({ reason: 'Stopped' });
    expect((await kube.api.get(nodes, { name: node })).spec?.unschedulable).toBe(true);
    await bullpen.kubectl(['uncordon', node]);
    drained = undefined;
    await bullpen.warmPods('drained', 1);
  });
});
