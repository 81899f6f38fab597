import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeClient, type KubeClientOptions } from './client.ts';
import { fixedCredentials } from './credentials.ts';
import { isAlreadyExists, isConflict, isInvalid, isNotFound, isOutcomeUnknown, KubeError } from './errors.ts';
import { nodes, pods, type Resource } from './resources.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { testObject, type TestObject } from './testing/objects.ts';
import { ScriptedServer } from './testing/scripted-server.ts';

const things: Resource<TestObject> = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Test',
  namespaced: true,
};
const ref = { namespace: 'ns', name: 'a' };

let server: ScriptedServer;
let clock: FakeClock;
let client: KubeClient;
let url: string;

beforeEach(async () => {
  server = new ScriptedServer();
  url = await server.listen();
  clock = new FakeClock();
  client = clientWith({});
});

afterEach(async () => {
  await client.close();
  await server.close();
});

function clientWith(options: Partial<KubeClientOptions>): KubeClient {
  return new KubeClient({
    server: url,
    credentials: fixedCredentials({ headers: { authorization: 'Bearer t' } }),
    userAgent: 'test/1',
    clock,
    random: () => 1,
    ...options,
  });
}

/** The KubeError that a call fails with. */
async function failure(call: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await call.then(
    () => new Error('the call should have failed'),
    (reason: unknown) => reason,
  );
  if (error instanceof KubeError) return error;
  throw error;
}

describe('requests', () => {
  it('sends credentials and user agent, and reads the object', async () => {
    const got = client.get(things, ref);
    const request = await server.next();
    expect(request.what).toBe('GET /apis/test.dev/v1/namespaces/ns/things/a');
    expect(request.headers).toMatchObject({ authorization: 'Bearer t', 'user-agent': 'test/1' });
    request.json(200, testObject('a', 1));
    expect((await got).metadata.uid).toBe('uid-a');
  });

  it.each([
    ['after a GET', () => client.get(nodes, { name: 'n' })],
    ['after a DELETE, which has a body', () => client.delete(nodes, { name: 'n' }, { uid: 'u' })],
  ])('reuses its connections %s', async (_name, call) => {
    for (let i = 0; i < 20; i++) {
      const called = call();
      (await server.next()).json(200, testObject('n', 1));
      await called;
    }
    // undici frees a connection just after it hands out the answer, so the next request may find one still taken.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  it('lists a page, and gives its items the apiVersion and kind that lists leave out', async () => {
    const listed = client.list(pods, { namespace: 'ns', labelSelector: 'a=b', limit: 2, continue: 'token' });
    const request = await server.next();
    expect(request.url.search).toBe('?labelSelector=a%3Db&limit=2&continue=token');
    request.list('7', [{ metadata: { name: 'p' } }], 'more');
    const page = await listed;
    expect(page).toMatchObject({ resourceVersion: '7', continue: 'more', items: [{ apiVersion: 'v1', kind: 'Pod' }] });
  });

  it('takes the empty token of a last page, and a list without items, for what they are', async () => {
    const listed = client.list(pods);
    (await server.next()).json(200, { metadata: { resourceVersion: '7', continue: '' }, items: null });
    expect(await listed).toEqual({ resourceVersion: '7', items: [] });
  });

  it('creates with the type filled in and a server-side timeout', async () => {
    const created = client.create(pods, 'ns', { metadata: { name: 'p' }, spec: { containers: [] } });
    const request = await server.next();
    expect([request.what, request.query('timeout')]).toEqual(['POST /api/v1/namespaces/ns/pods', '5s']);
    expect(JSON.parse(request.body)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [] },
    });
    request.json(201, testObject('p', 1));
    expect((await created).metadata.name).toBe('p');
  });

  it.each([
    [{ type: 'json', ops: [{ op: 'remove', path: '/a' }] } as const, 'application/json-patch+json'],
    [{ type: 'merge', body: { a: null } } as const, 'application/merge-patch+json'],
    [{ type: 'apply', body: { a: 1 } } as const, 'application/apply-patch+yaml'],
  ])('patches: %j', async (patch, contentType) => {
    const options = { subresource: 'status', fieldManager: 'me', force: true };
    const patched = client.patch(things, ref, patch, options);
    const request = await server.next();
    expect(request.what).toBe('PATCH /apis/test.dev/v1/namespaces/ns/things/a/status');
    expect(request.url.search).toBe('?fieldManager=me&force=true&timeout=5s');
    expect(request.headers['content-type']).toBe(contentType);
    request.json(200, testObject('a', 2));
    await patched;
  });

  it('deletes with preconditions, and returns the object only if there is one', async () => {
    const deleted = client.delete(things, ref, { uid: 'u', gracePeriodSeconds: 0, propagationPolicy: 'Background' });
    const request = await server.next();
    expect(JSON.parse(request.body)).toMatchObject({
      preconditions: { uid: 'u' },
      gracePeriodSeconds: 0,
      propagationPolicy: 'Background',
    });
    request.json(200, { kind: 'Status', status: 'Success' });
    expect(await deleted).toBeUndefined();
  });

  it('keeps a name from reaching another resource', async () => {
    await expect(client.get(pods, { namespace: 'ns', name: '' })).rejects.toThrow(TypeError);
    await expect(client.get(pods, { namespace: '..', name: 'p' })).rejects.toThrow(TypeError);
    const got = client.get(pods, { namespace: 'ns', name: 'p/log?x' });
    const request = await server.next();
    expect(request.url.pathname).toBe('/api/v1/namespaces/ns/pods/p%2Flog%3Fx');
    request.json(200, {});
    await got;
  });
});

describe('failures', () => {
  it.each([
    [404, 'NotFound', isNotFound],
    [409, 'Conflict', isConflict],
    [409, 'AlreadyExists', isAlreadyExists],
    [422, 'Invalid', isInvalid],
  ])('a mutation that the server answers with %i %s is refused', async (code, reason, predicate) => {
    const call = failure(client.replace(things, testObject('a', 1)));
    (await server.next()).status(code, reason, {}, { details: { uid: 'u' } });
    const error = await call;
    expect(error).toMatchObject({ code, reason, outcome: 'refused', details: { uid: 'u' } });
    expect(predicate(error)).toBe(true);
    expect(error.message).toContain(`scripted ${reason}`);
  });

  it.each([500, 502, 503, 504])(
    'a mutation answered with %i is not retried and may have been carried out',
    async (code) => {
      const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
      (await server.next()).status(code, 'X', { 'retry-after': '1' });
      expect(isOutcomeUnknown(await call)).toBe(true);
      expect(server.untaken).toHaveLength(0);
    },
  );

  it('a mutation whose connection breaks may have been carried out', async () => {
    const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    (await server.next()).reset();
    expect(await call).toMatchObject({ reason: 'ConnectionLost', outcome: 'unknown', code: 0 });
  });

  it('a mutation whose answer breaks off in the middle may have been carried out', async () => {
    const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    const request = await server.next();
    await request.send('{"half":');
    request.reset();
    expect(await call).toMatchObject({ reason: 'ConnectionLost', outcome: 'unknown' });
  });

  it('a mutation that finds no server was certainly not carried out', async () => {
    await server.close();
    const error = await failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    expect(error).toMatchObject({ reason: 'ConnectFailed', outcome: 'refused' });
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('a hung mutation meets its deadline two seconds after the server-side one; its connection is closed', async () => {
    const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    const request = await server.next();
    clock.advance(6999);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(1);
    expect(await call).toMatchObject({ reason: 'DeadlineExceeded', outcome: 'unknown' });
    await request.closed;
  });

  it('a mutation that waits for a connection until its deadline is never sent', async () => {
    client = clientWith({ connections: 1 });
    const first = client.get(things, ref);
    const request = await server.next();
    const second = failure(client.create(things, 'ns', { metadata: { name: 'late' } }, { timeoutMs: 100 }));
    await clock.untilTimer(100);
    clock.advance(100);
    expect(await second).toMatchObject({ reason: 'DeadlineExceeded', outcome: 'refused' });
    request.json(200, testObject('a', 1));
    await first;
    const third = client.get(things, { namespace: 'ns', name: 'third' });
    const next = await server.next();
    expect(next.url.pathname).toMatch(/third$/);
    next.json(200, testObject('third', 1));
    await third;
    expect(server.connections).toBe(1);
  });

  it('gives up when the caller does', async () => {
    const controller = new AbortController();
    const call = failure(client.get(things, ref, { signal: controller.signal }));
    await server.next();
    controller.abort(new Error('enough'));
    const error = await call;
    expect(error.reason).toBe('Aborted');
    expect(error.cause).toMatchObject({ message: 'enough' });
    expect(await failure(client.get(things, ref, { signal: controller.signal }))).toMatchObject({ outcome: 'refused' });
  });

  it('reads no more than the beginning of a huge error', async () => {
    const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    const request = await server.next();
    request.response.writeHead(400);
    const megabyte = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 64; i++) request.response.write(megabyte);
    const error = await call;
    expect(error.message.length).toBeLessThan(500);
    await request.closed;
  });

  it('says that an answer which is no JSON leaves the outcome open', async () => {
    const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    (await server.next()).response.end('<html>');
    expect(await call).toMatchObject({ reason: 'InvalidAnswer', outcome: 'unknown' });
  });
});

describe('retries', () => {
  it.each([429, 502, 503, 504])('reads again after %i, at the time that the server asks for', async (code) => {
    const got = client.get(things, ref);
    (await server.next()).status(code, 'X', { 'retry-after': '2' });
    await clock.untilTimer(2100);
    clock.advance(2100);
    (await server.next()).json(200, testObject('a', 1));
    expect((await got).metadata.name).toBe('a');
  });

  it('reads again when the connection breaks', async () => {
    const got = client.list(things);
    (await server.next()).reset();
    await clock.untilTimer(100);
    clock.advance(100);
    (await server.next()).list('1', []);
    expect((await got).items).toEqual([]);
  });

  it('gives up reading after five tries, each later than the one before', async () => {
    const call = failure(client.get(things, ref));
    for (const delay of [100, 200, 400, 800]) {
      (await server.next()).status(503, 'ServiceUnavailable');
      await clock.untilTimer(delay);
      clock.advance(delay);
    }
    (await server.next()).status(503, 'ServiceUnavailable');
    expect(await call).toMatchObject({ code: 503 });
  });

  it('does not wait for a retry that would come after the deadline', async () => {
    const call = failure(client.get(things, ref, { timeoutMs: 1000 }));
    (await server.next()).status(429, 'TooManyRequests', { 'retry-after': '1' });
    expect(await call).toMatchObject({ code: 429, retryAfterSeconds: 1 });
  });

  it('does not read again what is not there', async () => {
    const call = failure(client.get(things, ref));
    (await server.next()).status(404, 'NotFound');
    expect(isNotFound(await call)).toBe(true);
  });

  it('repeats a mutation that flow control turned away', async () => {
    const created = client.create(things, 'ns', { metadata: { name: 'a' } });
    const request = await server.next();
    request.response.writeHead(429, { 'retry-after': '1' }).end('Too many requests, please try again later.\n');
    await clock.untilTimer(1100);
    clock.advance(1100);
    (await server.next()).json(201, testObject('a', 1));
    expect((await created).metadata.name).toBe('a');
  });

  it('does not repeat a mutation whose 429 is the answer, as that of an eviction is', async () => {
    const call = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    (await server.next()).status(429, 'TooManyRequests', { 'retry-after': '1' });
    expect(await call).toMatchObject({ code: 429, outcome: 'refused' });
  });

  it('after a 401 takes fresh credentials and tries once more, mutations too', async () => {
    let token = 'old';
    const current = (): { headers: { authorization: string }; tls: object } => ({
      headers: { authorization: token },
      tls,
    });
    const tls = {};
    client = clientWith({ credentials: { current, invalidate: () => (token = 'new') } });
    const created = client.create(things, 'ns', { metadata: { name: 'a' } });
    const first = await server.next();
    expect(first.headers.authorization).toBe('old');
    first.status(401, 'Unauthorized');
    await clock.untilTimer(0);
    clock.advance(0);
    const second = await server.next();
    expect(second.headers.authorization).toBe('new');
    second.json(201, testObject('a', 1));
    await created;

    const call = failure(client.get(things, ref));
    (await server.next()).status(401, 'Unauthorized');
    await clock.untilTimer(0);
    clock.advance(0);
    (await server.next()).status(401, 'Unauthorized');
    expect(await call).toMatchObject({ code: 401 });
  });
});

describe('the guard', () => {
  it('keeps a mutation from being sent, but not a read', async () => {
    const forbidden = new Error('not the leader');
    client = clientWith({
      guard: () => {
        throw forbidden;
      },
    });
    const error = await failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    expect(error).toMatchObject({ reason: 'Guarded', outcome: 'refused', cause: forbidden });
    const got = client.get(things, ref);
    (await server.next()).json(200, testObject('a', 1));
    await got;
  });

  it('is asked when the request is about to leave, not when it was made', async () => {
    let leader = true;
    client = clientWith({
      connections: 1,
      guard: () => {
        if (!leader) throw new Error('not the leader');
      },
    });
    const first = client.get(things, ref);
    const request = await server.next();
    const second = failure(client.create(things, 'ns', { metadata: { name: 'a' } }));
    await clock.untilTimer(7000);
    leader = false;
    request.json(200, testObject('a', 1));
    await first;
    expect(await second).toMatchObject({ reason: 'Guarded', outcome: 'refused' });
  });
});
