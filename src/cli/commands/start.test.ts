import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliBed } from '../testing/cli-bed.ts';
import { callSession } from '../testing/objects.ts';

const SESSIONS = '/apis/bullpen.dev/v1alpha1/namespaces/calls/sessions';
const SECRETS = '/api/v1/namespaces/calls/secrets';
const LONG = JSON.stringify('x'.repeat(10_000));
const stored = callSession({}, { bodyFrom: { secretKeyRef: { name: 'call-body', key: 'body' } } });

let bed: CliBed;
beforeEach(async () => {
  bed = new CliBed();
  await bed.open();
});
afterEach(() => bed.close());

/** Answers the next request, which must be this one; resolves with what it carried. */
async function answer(what: string, code: number, body: object): Promise<unknown> {
  const request = await bed.server.next();
  expect(request.what).toBe(what);
  request.json(code, body);
  return request.body === '' ? undefined : JSON.parse(request.body);
}

/** Up to where the Session has been made, and its Secret has been told of it. */
async function made(): Promise<unknown> {
  await answer(`POST ${SECRETS}`, 201, {});
  await answer(`POST ${SESSIONS}`, 201, stored);
  return await answer(`PATCH ${SECRETS}/call-body`, 200, {});
}

const start = (...options: string[]) => bed.run('start', 'echo', '--name', 'call', '--data', LONG, ...options);

describe('a body that is too long for a Session', () => {
  it('is in a Secret that goes with the Session, when nobody waits', async () => {
    const ran = start('--no-wait');
    const owner = { apiVersion: 'bullpen.dev/v1alpha1', kind: 'Session', name: 'call', uid: 'uid-call' };
    expect(await made()).toEqual({ metadata: { ownerReferences: [owner] } });
    expect(await ran).toMatchObject({ code: 0, stdout: 'uid-call', stderr: '' });
    expect(bed.server.untaken).toEqual([]);
  });

  it('is in such a Secret before anything is waited for, so that no refusal leaves it behind', async () => {
    const ran = start();
    await made();
    const status = { phase: 'Rejected', reason: 'AtCapacity', message: 'all are busy' } as const;
    (await bed.server.next()).list('5', [{ ...stored, status }]);
    expect(await ran).toMatchObject({ code: 1, stderr: expect.stringContaining('AtCapacity') as string });
  });

  it('is deleted when the agent has been told', async () => {
    const ran = start();
    await made();
    const status = { phase: 'Running', startedAt: '2026-01-01T00:00:01Z' } as const;
    (await bed.server.next()).list('5', [{ ...stored, status }]);
    await answer(`DELETE ${SECRETS}/call-body`, 200, { kind: 'Status', status: 'Success' });
    expect(await ran).toMatchObject({ code: 0, stdout: 'uid-call' });
  });

  it('is deleted when there is no Session after all', async () => {
    const ran = start();
    await answer(`POST ${SECRETS}`, 201, {});
    (await bed.server.next()).status(403, 'Forbidden');
    await answer(`DELETE ${SECRETS}/call-body`, 200, { kind: 'Status', status: 'Success' });
    expect(await ran).toMatchObject({ code: 1, stderr: expect.stringContaining('scripted Forbidden') as string });
  });

  it('is told of when its Secret may not be changed: the session runs all the same', async () => {
    const ran = start('--no-wait');
    await answer(`POST ${SECRETS}`, 201, {});
    await answer(`POST ${SESSIONS}`, 201, stored);
    (await bed.server.next()).status(403, 'Forbidden');
    expect(await ran).toMatchObject({
      code: 0,
      stdout: 'uid-call',
      stderr: expect.stringMatching(/^The Secret call-body does not go with its session: .*Forbidden/) as string,
    });
  });
});
