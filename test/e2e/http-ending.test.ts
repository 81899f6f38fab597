import { describe, expect, it } from 'vitest';
import { sessions } from '../../src/api/resources.ts';
import type { Session } from '../../src/api/session.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { pods } from '../../src/kube/resources.ts';
import { agentStatus, type Terminated } from '../../src/pods/pod-facts.ts';
import { sessionRecord } from '../../src/pods/session-record.ts';
import { waitFor } from '../cluster/wait.ts';
import { nodeScript, report, secondsSince, smallPod, useBullpen } from '../support/bullpen.ts';

/** How sessions of protocol Http end, by themselves and by what is done to them. */
const bullpen = await useBullpen('e2e-http-ending', { http: true });
const { kube } = bullpen;
const { node } = bullpen.cluster;

/** An Agent of its own, and its session, which runs. */
async function start(name: string, body: object, spec = {}): Promise<Session> {
  await bullpen.echoAgent(name, spec);
  await kube.createSession(name, { agent: name, body: JSON.stringify(body) });
  return await kube.sessionInPhase(name, 'Running', 'Ended');
}

/** How the agent's container ended last; the kubelet may have started it again. */
async function lastExit(session: Session): Promise<Terminated | undefined> {
  const status = agentStatus(await kube.pod(session.status?.podName ?? ''));
  return status?.state?.terminated ?? status?.lastState?.terminated;
}

/** What the supervisor of a session has written; nothing while it does not run. */
async function supervisorLog(session: Session): Promise<string> {
  return await bullpen.logs(session, '--container=supervisor').catch(() => '');
}

/** What the agent of a session writes from now on until its end, which need not leave anything that could be read later. */
async function follow(session: Session): Promise<string> {
  return (await bullpen.kubectl(['logs', '--follow', session.status?.podName ?? '', '--container=agent'])).stdout;
}

describe.concurrent('an agent that fails in its session', () => {
  it('by exiting: Failed, with its exit code and its last words', async () => {
    await start('exits', { crash: 3, echo: 'the last words' });
    const ended = await kube.sessionInPhase('exits', 'Ended');
    expect(ended.status).toMatchObject({
      reason: 'Failed',
      exitCode: 3,
      message: 'the agent exited with code 3: echo the last words',
    });
  });

  it('by using too much memory: OutOfMemory', async () => {
    const eating = `import { createServer } from 'node:http';
      const eaten = [];
      const eat = () => { for (let size = 0; size < 512; size += 1) eaten.push(Buffer.alloc(1_000_000, 'x')); };
      createServer((request, response) => request.url === '/bot' ? eat() : response.end()).listen(process.env.PORT);`;
    await start('eats', {}, nodeScript(eating));
    const ended = await kube.sessionInPhase('eats', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'OutOfMemory', exitCode: 137 });
    expect(ended.status?.message).toContain('more memory than its limit');
  });

  it('by closing the connection, and lives on: Failed, and it has its goodbye', async () => {
    const hangUp = `import { createServer } from 'node:http';
      process.once('SIGTERM', () => { console.log('goodbye'); process.exit(0); });
      createServer((request, response) => {
        if (request.url === '/bot') request.resume().on('end', () => setTimeout(() => request.socket.destroy(), 500));
        else response.end();
      }).listen(process.env.PORT);`;
    await start('hangs-up', {}, nodeScript(hangUp));
    const ended = await kube.sessionInPhase('hangs-up', 'Ended');
    expect(ended.status).toMatchObject({
      reason: 'Failed',
      message: expect.stringMatching(/^the agent broke off the connection: /) as string,
    });
    expect(ended.status?.exitCode).toBeUndefined();
    const pod = await kube.pod(ended.status?.podName ?? '');
    expect(sessionRecord(pod)).toMatchObject({ outcome: 'ConnectionBroken', delivered: true });
    // It was told to end, as all agents are, and did.
    expect(await lastExit(ended)).toMatchObject({ exitCode: 0 });
    expect(await bullpen.logs(ended)).toBe('goodbye\n');
  });

  it('when it ends within the last second of its limit, as it was told: DeadlineExceeded', async () => {
    await bullpen.echoAgent('punctual');
    const body = '{"seconds": 4.2}';
    await kube.createSession('punctual', { agent: 'punctual', body, maxSessionDuration: 5 });
    const ended = await kube.sessionInPhase('punctual', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    const log = await bullpen.logs(ended);
    expect(log).toContain('limit 5 seconds\n');
    expect(log).toContain('over\n');
  });

  it('before it was ready, and is well when it is started again: the session runs', async () => {
    const once = `import { existsSync, writeFileSync } from 'node:fs';
      if (!existsSync('/state/begun')) { writeFileSync('/state/begun', ''); process.exit(5); }
      await import('/app/server.mjs');`;
    const state = { volumeMounts: [{ name: 'state', mountPath: '/state' }] };
    const podTemplate = smallPod({ container: state, volumes: [{ name: 'state', emptyDir: {} }] });
    await start('stumbles', { seconds: 0 }, { ...nodeScript(once), podTemplate });
    const ended = await kube.sessionInPhase('stumbles', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(ended.status?.attempt).toBeUndefined();
    const pod = await kube.pod(ended.status?.podName ?? '');
    expect(agentStatus(pod)?.restartCount).toBe(1);
  });
});

describe.concurrent('stopping a session', () => {
  it('leaves the agent its goodbye', async () => {
    const running = await start('polite', { goodbyeSeconds: 2 });
    const toldAt = Date.now();
    await kube.patchSession('polite', { stop: true });
    await kube.sessionInPhase('polite', 'Stopping');
    const ended = await kube.sessionInPhase('polite', 'Ended');
    report(`polite: ended ${secondsSince(toldAt)} after spec.stop, of which 2 s were its goodbye`);
    expect(ended.status).toMatchObject({ reason: 'Stopped', podName: running.status?.podName });
    // It was not killed.
    expect((await lastExit(ended))?.exitCode).toBe(0);
  });

  it('kills an agent whose goodbye takes too long', async () => {
    await start('verbose', { goodbyeSeconds: 60 }, { terminationGracePeriodSeconds: 2 });
    await kube.patchSession('verbose', { stop: true });
    const ended = await kube.sessionInPhase('verbose', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
    expect((await lastExit(ended))?.exitCode).toBe(137);
  });

  it('whose agent is not ready yet ends it, and the agent is told nothing', async () => {
    const never = `import { createServer } from 'node:http';
      process.once('SIGTERM', () => process.exit(0));
      createServer((request, response) => {
        console.log(request.method + ' ' + request.url);
        response.writeHead(503).end();
      }).listen(process.env.PORT);`;
    await bullpen.echoAgent('unready', nodeScript(never));
    await kube.createSession('unready', { agent: 'unready' });
    const starting = await kube.sessionWhen('unready', 'a pod', ({ status }) => status?.podName !== undefined);
    const bound = { what: 'the supervisor to have the session', timeoutMs: 60_000, intervalMs: 200 };
    await waitFor(async () => (await supervisorLog(starting)).includes('"bound"'), bound);
    await kube.patchSession('unready', { stop: true });
    const ended = await kube.sessionInPhase('unready', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
    expect(ended.status?.startedAt).toBeUndefined();
    expect(await bullpen.logs(ended)).not.toContain('POST');
  });

  it('that is saying goodbye changes neither how it ends nor how long it may take', async () => {
    await bullpen.echoAgent('leaving', { terminationGracePeriodSeconds: 10 });
    const body = '{"goodbyeSeconds": 4}';
    await kube.createSession('leaving', { agent: 'leaving', body, maxSessionDuration: 2 });
    await kube.sessionInPhase('leaving', 'Stopping');
    await kube.patchSession('leaving', { stop: true });
    const ended = await kube.sessionInPhase('leaving', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    expect((await lastExit(ended))?.exitCode).toBe(0);
  });

  it('by deleting it leaves the agent its goodbye, and nothing behind', async () => {
    const running = await start('deleted', { goodbyeSeconds: 1 });
    const written = follow(running);
    const toldAt = Date.now();
    await kube.deleteSession('deleted');
    await kube.gone(sessions, 'deleted');
    await bullpen.podsGone(running);
    report(`deleted: nothing left ${secondsSince(toldAt)} after the deletion, of which 1 s was its goodbye`);
    expect(await written).toContain('goodbye\n');
  });
});

describe.concurrent('a pod that is taken away from its session', () => {
  it('by deletion: Lost; the agent has its goodbye', async () => {
    const running = await start('removed', { goodbyeSeconds: 1 });
    const written = follow(running);
    await kube.api.delete(pods, { namespace: kube.namespace, name: running.status?.podName ?? '' });
    const ended = await kube.sessionInPhase('removed', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Lost', message: 'the pod was deleted' });
    expect(await written).toContain('goodbye\n');
    await bullpen.podsGone(ended);
  });

  it.runIf(node !== undefined).each([
    ['supervisor', 'whose supervisor is killed', /supervisor died.*137/],
    ['sandbox', 'whose sandbox is killed', /./],
  ])('%s: one %s: Lost, and never started again', async (name, _what, message) => {
    const running = await start(name, {});
    const pod = running.status?.podName ?? '';
    const since = Date.now();
    if (name === 'sandbox') await node?.killSandbox(kube.namespace, pod);
    else await node?.killContainer(kube.namespace, pod, 'supervisor');
    const ended = await kube.sessionInPhase(name, 'Ended');
    report(
      `${name} killed: ${ended.status?.reason ?? ''} ${secondsSince(since)} later: ${ended.status?.message ?? ''}`,
    );
    expect(ended.status).toMatchObject({ reason: 'Lost', podName: pod });
    expect(ended.status?.message).toMatch(message);
    expect((await bullpen.logs(ended)).match(/^session /gm)).toHaveLength(1);
    expect(await podsOf(ended)).toEqual([pod]);
  });
});

async function podsOf(session: Session): Promise<string[]> {
  return (await bullpen.pods(session)).map(({ metadata }: Pod) => metadata.name);
}
