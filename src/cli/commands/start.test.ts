import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Session, SessionStatus } from '../../api/session.ts';
import type { ScriptedRequest } from '../../kube/testing/scripted-server.ts';
import { CliBed } from '../testing/cli-bed.ts';
import { callSession } from '../testing/objects.ts';

const SESSIONS = '/apis/bullpen.dev/v1alpha1/namespaces/calls/sessions';
const SECRETS = '/api/v1/namespaces/calls/secrets';
const LONG = JSON.stringify('x'.repeat(10_000));
const running: SessionStatus = {
  phase: 'Running',
  startKind: 'Cold',
  podName: 'pod-1',
  startedAt: '2026-01-01T00:00:01Z',
};
const done = { kind: 'Status', status: 'Success' };

let bed: CliBed;
beforeEach(async () => {
  bed = new CliBed();
  await bed.open();
});
afterEach(() => bed.close());

/** The next request, which must be this one. */
async function next(what: string): Promise<ScriptedRequest> {
  const request = await bed.server.next();
  expect(request.what).toBe(what);
  return request;
}

/** Takes the Secret of a body; resolves with its name. */
async function secretMade(): Promise<string> {
  const request = await next(`POST ${SECRETS}`);
  const { metadata } = JSON.parse(request.body) as { metadata: { name: string } };
  expect(metadata.name).toMatch(/^call-[0-9a-f]{8}$/);
  request.json(201, {});
  return metadata.name;
}

/** Takes the Session; resolves with it. */
async function sessionMade(): Promise<Session> {
  const request = await next(`POST ${SESSIONS}`);
  const { spec } = JSON.parse(request.body) as Session;
  const session = callSession({}, spec);
  request.json(201, session);
  return session;
}

/** Up to where the Session has been made, and its Secret has been told of it. */
async function made(): Promise<{ secret: string; session: Session; owners: unknown }> {
  const secret = await secretMade();
  const session = await sessionMade();
  expect(session.spec.bodyFrom).toEqual({ secretKeyRef: { name: secret, key: 'body' } });
  const patch = await next(`PATCH ${SECRETS}/${secret}`);
  patch.json(200, {});
  return { secret, session, owners: JSON.parse(patch.body) };
}

/** Shows what has become of the Session. */
async function seen(session: Session, status: SessionStatus): Promise<void> {
  (await next(`GET ${SESSIONS}`)).list('5', [{ ...session, status }]);
}

const start = (...options: string[]) => bed.run('start', 'echo', '--name', 'call', ...options);
const startLong = (...options: string[]) => start('--data', LONG, ...options);

describe('a body that is too long for a Session', () => {
  it('is in a Secret that goes with the Session, when nobody waits', async () => {
    const ran = startLong('--no-wait');
    const owner = { apiVersion: 'bullpen.dev/v1alpha1', kind: 'Session', name: 'call', uid: 'uid-call' };
    expect((await made()).owners).toEqual({ metadata: { ownerReferences: [owner] } });
    expect(await ran).toEqual({ code: 0, stdout: 'uid-call', stderr: '' });
    expect(bed.server.untaken).toEqual([]);
  });

  it('is in such a Secret before anything is waited for, so that no refusal leaves it behind', async () => {
    const ran = startLong();
    const { session } = await made();
    await seen(session, { phase: 'Rejected', reason: 'AtCapacity', message: 'all are busy' });
    expect(await ran).toMatchObject({ code: 1, stderr: expect.stringContaining('AtCapacity') as string });
  });

  it('is deleted when the agent has been told', async () => {
    const ran = startLong();
    const { secret, session } = await made();
    await seen(session, running);
    (await next(`DELETE ${SECRETS}/${secret}`)).json(200, done);
    expect(await ran).toEqual({
      code: 0,
      stdout: 'uid-call',
      stderr: 'cold start on pod pod-1; its log: bullpen logs call -f',
    });
  });

  it.each([
    [500, 'InternalError', /is still there: scripted InternalError/],
    [403, 'Forbidden', /^cold start.*$/],
    [404, 'NotFound', /^cold start.*$/],
  ])('may stay when it cannot be deleted (%i): the session runs, and its id is printed before', async (...how) => {
    const [code, reason, stderr] = how;
    const ran = startLong();
    const { secret, session } = await made();
    await seen(session, running);
    const request = await next(`DELETE ${SECRETS}/${secret}`);
    expect(bed.lines).toEqual(['uid-call']);
    request.status(code, reason);
    expect(await ran).toMatchObject({ code: 0, stdout: 'uid-call', stderr: expect.stringMatching(stderr) as string });
  });

  it('is deleted when there is no Session after all', async () => {
    const ran = startLong();
    const secret = await secretMade();
    (await next(`POST ${SESSIONS}`)).status(403, 'Forbidden');
    (await next(`DELETE ${SECRETS}/${secret}`)).json(200, done);
    expect(await ran).toMatchObject({ code: 1, stderr: expect.stringContaining('scripted Forbidden') as string });
  });

  it('is deleted, and becomes no session, when Ctrl-C comes before that', async () => {
    const ran = startLong();
    const request = await next(`POST ${SECRETS}`);
    bed.interrupt();
    request.json(201, {});
    const removal = await bed.server.next();
    expect(removal.what).toMatch(/^DELETE .*\/secrets\/call-[0-9a-f]{8}$/);
    removal.json(200, done);
    expect(await ran).toEqual({ code: 130, stdout: '', stderr: 'Interrupted: no session was made.' });
  });

  it('is told of when it may be left over', async () => {
    const ran = startLong();
    const secret = await secretMade();
    (await next(`POST ${SESSIONS}`)).status(403, 'Forbidden');
    (await next(`DELETE ${SECRETS}/${secret}`)).status(403, 'Forbidden');
    const { code, stderr } = await ran;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`may be left over: scripted Forbidden[^]*kubectl -n calls delete secret ${secret}$`, 'm'),
    );
  });

  it('is looked for where nobody knows whether it was made', async () => {
    const ran = startLong();
    (await next(`POST ${SECRETS}`)).status(500, 'InternalError');
    const removal = await bed.server.next();
    expect(removal.method).toBe('DELETE');
    removal.status(404, 'NotFound');
    expect(await ran).toEqual({ code: 1, stdout: '', stderr: 'scripted InternalError' });
  });

  it('is told of when its Secret may not be changed: the session runs all the same', async () => {
    const ran = startLong('--no-wait');
    const secret = await secretMade();
    await sessionMade();
    (await next(`PATCH ${SECRETS}/${secret}`)).status(403, 'Forbidden');
    const { code, stdout, stderr } = await ran;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'uid-call' });
    expect(stderr).toMatch(new RegExp(`^The Secret ${secret} does not go with its session: .*Forbidden`));
    expect(stderr).toContain(`kubectl -n calls delete secret ${secret}`);
  });
});

describe('a session that was made', () => {
  it('is named where nobody can see what becomes of it', async () => {
    const ran = start();
    await sessionMade();
    (await next(`GET ${SESSIONS}`)).status(403, 'Forbidden');
    const { code, stderr } = await ran;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Session call was made, and whether it runs is not known: bullpen stop call .*\nscripted/);
  });

  it('is looked at again when the watch for it has been silent for too long', async () => {
    const ran = start();
    const session = await sessionMade();
    await seen(session, { phase: 'Pending' });
    const watch = await next(`WATCH ${SESSIONS}`);
    watch.open();
    bed.clock.advance(100_000);
    await seen(session, running);
    expect(await ran).toMatchObject({ code: 0, stdout: 'uid-call' });
  });

  it('is named when Ctrl-C ends the wait for it', async () => {
    const ran = start();
    const session = await sessionMade();
    await seen(session, { phase: 'Pending' });
    await next(`WATCH ${SESSIONS}`);
    bed.interrupt();
    const stderr = 'Session call was made, and goes on: bullpen stop call ends it.';
    expect(await ran).toEqual({ code: 130, stdout: '', stderr });
  });

  it('may be there when nobody has said so', async () => {
    const ran = start();
    (await next(`POST ${SESSIONS}`)).status(500, 'InternalError');
    const { code, stderr } = await ran;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^Whether session call was made is not known: bullpen stop call .*\nscripted InternalError$/,
    );
  });
});
