import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SessionStatus } from '../../api/session.ts';
import { CliBed } from '../testing/cli-bed.ts';
import { callSession } from '../testing/objects.ts';

const SESSIONS = '/apis/bullpen.dev/v1alpha1/namespaces/calls/sessions';
const logOf = (pod: string) => `GET /api/v1/namespaces/calls/pods/${pod}/log`;
const line = (text: string) => `2026-01-01T00:00:00.000000000Z ${text}\n`;
const startedAt = '2026-01-01T00:00:01Z';

let bed: CliBed;
beforeEach(async () => {
  bed = new CliBed();
  await bed.open();
});
afterEach(() => bed.close());

/** The next request, which must be this one. */
async function next(what: string) {
  const request = await bed.server.next();
  expect(request.what).toBe(what);
  return request;
}

/** Answers what asks for the session, to begin with. */
async function found(status: SessionStatus): Promise<void> {
  (await next(`GET ${SESSIONS}/call`)).json(200, callSession(status));
}

/** Answers a look at the session, with what it is now. */
async function seen(status: SessionStatus): Promise<void> {
  (await next(`GET ${SESSIONS}`)).list('5', [callSession(status)]);
}

/** Tells who watches of what the session has become. */
async function becomes(status: SessionStatus): Promise<void> {
  await (await next(`WATCH ${SESSIONS}`)).event('MODIFIED', callSession(status));
}

async function written(pod: string, text: string): Promise<void> {
  const request = await next(logOf(pod));
  await request.send(line(text));
  request.end();
}

async function notBegun(pod: string): Promise<void> {
  (await next(logOf(pod))).status(400, 'BadRequest', {}, { message: 'container "agent" is waiting to start' });
}

describe('bullpen logs -f', () => {
  it('waits for a pod, and prints what its agent writes until the session is over', async () => {
    const ran = bed.run('logs', 'call', '-f');
    await found({ phase: 'Pending' });
    await seen({ phase: 'Pending' });
    await becomes({ phase: 'Running', podName: 'pod-1', startedAt });
    const log = await next(logOf('pod-1'));
    await log.send(line('one'));
    await expect.poll(() => bed.lines).toEqual(['one']);
    await log.send(line('two'));
    log.end();
    await seen({ phase: 'Running', podName: 'pod-1', startedAt });
    await becomes({ phase: 'Ended', podName: 'pod-1', startedAt });
    expect(await ran).toEqual({ code: 0, stdout: 'one\ntwo', stderr: '' });
  });

  it('does not wait for the pod of a session that ended without one', async () => {
    const ran = bed.run('logs', 'call', '-f');
    const status = { phase: 'Ended', reason: 'Stopped', message: 'stopped while it waited' } as const;
    await found(status);
    await seen(status);
    expect(await ran).toEqual({ code: 1, stdout: '', stderr: 'Session call has no pod: stopped while it waited' });
  });

  it('does not wait for the pod of a session that is gone', async () => {
    const ran = bed.run('logs', 'call', '-f');
    await found({ phase: 'Pending' });
    (await next(`GET ${SESSIONS}`)).list('5', []);
    expect(await ran).toMatchObject({ code: 1, stderr: 'Session call has no pod' });
  });

  it('waits for the container, and opens the log again', async () => {
    const ran = bed.run('logs', 'call', '-f');
    const starting = { phase: 'Starting', podName: 'pod-1' } as const;
    await found(starting);
    await seen(starting);
    await notBegun('pod-1');
    await seen(starting);
    await becomes({ ...starting, phase: 'Running', startedAt });
    await written('pod-1', 'hello');
    await seen({ ...starting, phase: 'Ended', startedAt });
    expect(await ran).toEqual({ code: 0, stdout: 'hello', stderr: '' });
  });

  it('says so when the container never began', async () => {
    const ran = bed.run('logs', 'call', '-f');
    const starting = { phase: 'Starting', podName: 'pod-1' } as const;
    await found(starting);
    await seen(starting);
    await notBegun('pod-1');
    await seen({ ...starting, phase: 'Ended', reason: 'StartTimeout' });
    await notBegun('pod-1');
    expect(await ran).toMatchObject({
      code: 1,
      stderr: 'The agent of session call has not begun to write: container "agent" is waiting to start',
    });
  });

  it('goes on with another pod, where the session is given one', async () => {
    const ran = bed.run('logs', 'call', '-f');
    const lost = { phase: 'Starting', podName: 'pod-1' } as const;
    await found(lost);
    await seen(lost);
    await notBegun('pod-1');
    await seen(lost);
    await becomes({ phase: 'Starting', podName: 'pod-2' });
    await seen({ phase: 'Running', podName: 'pod-2', startedAt });
    await written('pod-2', 'here');
    await seen({ phase: 'Ended', podName: 'pod-2', startedAt });
    expect(await ran).toEqual({ code: 0, stdout: 'here', stderr: '' });
  });

  it('ends with Ctrl-C while it waits', async () => {
    const ran = bed.run('logs', 'call', '-f');
    await found({ phase: 'Pending' });
    await seen({ phase: 'Pending' });
    await next(`WATCH ${SESSIONS}`);
    bed.interrupt();
    expect(await ran).toMatchObject({ code: 0 });
  });
});

it('bullpen logs takes no more than its reader does', async () => {
  const letGo = bed.stall();
  const ran = bed.run('logs', 'call');
  await found({ phase: 'Running', podName: 'pod-1', startedAt });
  const log = await next(logOf('pod-1'));
  await log.send(['one', 'two', 'three'].map(line).join(''));
  log.end();
  await expect.poll(() => bed.lines).not.toEqual([]);
  expect(bed.lines).toEqual(['one']);
  letGo();
  expect(await ran).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree' });
});

it('bullpen logs does not wait', async () => {
  const ran = bed.run('logs', 'call');
  await found({ phase: 'Starting', podName: 'pod-1' });
  await notBegun('pod-1');
  expect(await ran).toMatchObject({ code: 1, stderr: expect.stringContaining('has not begun to write') as string });
});
