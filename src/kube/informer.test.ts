import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeClient } from './client.ts';
import { fixedCredentials } from './credentials.ts';
import { Informer, type InformerOptions } from './informer.ts';
import { KubeMetrics } from './metrics.ts';
import type { Resource } from './resources.ts';
import { keyOf } from './store.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { testObject as object, type TestObject } from './testing/objects.ts';
import { ScriptedServer, type ScriptedRequest } from './testing/scripted-server.ts';

const things: Resource<TestObject> = {
  group: '',
  version: 'v1',
  plural: 'things',
  kind: 'Test',
  namespaced: true,
};

let server: ScriptedServer;
let clock: FakeClock;
let client: KubeClient;
let stop: AbortController;

beforeEach(async () => {
  server = new ScriptedServer();
  clock = new FakeClock();
  stop = new AbortController();
  client = new KubeClient({
    server: await server.listen(),
    credentials: fixedCredentials(),
    userAgent: 'test/1',
    clock,
    random: () => 1,
  });
});

afterEach(async () => {
  stop.abort();
  await client.close();
  await server.close();
});

function start(options: Partial<InformerOptions<TestObject>> = {}): Informer<TestObject> {
  const informer = new Informer<TestObject>({ api: client, resource: things, clock, random: () => 1, ...options });
  informer.start(stop.signal);
  return informer;
}

/** Answers the first list; returns the watch that follows it. */
async function listed(version: string, ...items: TestObject[]): Promise<ScriptedRequest> {
  const list = await next('STREAM /api/v1/things');
  await list.stream(version, items);
  return await watching(version);
}

async function watching(version: string): Promise<ScriptedRequest> {
  const watch = await next('WATCH /api/v1/things');
  expect(watch.query('resourceVersion')).toBe(version);
  watch.open();
  return watch;
}

async function next(what: string): Promise<ScriptedRequest> {
  const request = await server.next();
  expect(request.what).toBe(what);
  return request;
}

/** Resolves with the next change, as text. */
function change(informer: Informer<TestObject>): Promise<string> {
  return new Promise((resolve) => {
    const unsubscribe = informer.store.subscribe(({ type, object: changed }) => {
      unsubscribe();
      resolve(`${type} ${changed.metadata.name} ${changed.metadata.resourceVersion}`);
    });
  });
}

/** Lets the pause after the n-th failure in a row pass: 800 ms, doubling. */
async function afterPause(ms: number): Promise<void> {
  await clock.untilTimer(ms);
  clock.advance(ms);
}

describe('in good times', () => {
  it('streams a consistent list, then watches from there with bookmarks', async () => {
    const informer = start({ namespaces: ['ns'], labelSelector: 'a=b', fieldSelector: 'c=d' });
    expect(informer.hasSynced).toBe(false);
    const path = '/api/v1/namespaces/ns/things';
    const common = '?labelSelector=a%3Db&fieldSelector=c%3Dd&watch=true&allowWatchBookmarks=true';
    const list = await next(`STREAM ${path}`);
    expect(list.url.search).toBe(
      `${common}&resourceVersion=&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=300`,
    );
    await list.event('ADDED', object('a', 1));
    await list.event('ADDED', object('b', 2));
    await list.event('ADDED', object('c', 3));
    // What happens while the list is under way.
    await list.event('MODIFIED', object('b', 11));
    await list.event('DELETED', object('c', 12));
    await list.event('BOOKMARK', { metadata: { resourceVersion: '12' } });
    expect(informer.hasSynced).toBe(false);
    await list.stream('12', []);
    await informer.whenSynced(stop.signal);
    expect(informer.hasSynced).toBe(true);
    expect(informer.store.list().map(({ metadata }) => metadata.resourceVersion)).toEqual(['1', '11']);
    await list.closed;
    const watch = await next(`WATCH ${path}`);
    expect(watch.url.search).toBe(`${common}&resourceVersion=12&timeoutSeconds=600`);
    watch.end();
  });

  it('lists page by page where the server does not stream lists, and does not ask again', async () => {
    const informer = start({ pageSize: 2 });
    (await next('STREAM /api/v1/things')).status(422, 'Invalid');
    const first = await next('GET /api/v1/things');
    expect(first.url.search).toBe('?limit=2');
    first.list('10', [object('a', 1), object('b', 2)], 'page2');
    const second = await next('GET /api/v1/things');
    expect(second.query('continue')).toBe('page2');
    expect(informer.hasSynced).toBe(false);
    second.list('10', [object('c', 3)]);
    await informer.whenSynced(stop.signal);
    expect(informer.store.size).toBe(3);
    await watching('10');
    const relisted = informer.relist();
    (await next('GET /api/v1/things')).list('11', []);
    await relisted;
  });

  it('follows the watch, and goes on from the last bookmark when the server ends it', async () => {
    const informer = start();
    const watch = await listed('10', object('a', 1));
    const changed = change(informer);
    await watch.event('MODIFIED', object('a', 11));
    expect(await changed).toBe('updated a 11');
    await watch.event('BOOKMARK', { metadata: { resourceVersion: '20' } });
    watch.end();
    await watching('20');
    expect(informer.store.get('ns/a')?.metadata.resourceVersion).toBe('11');
  });

  it('watches several namespaces, and is synced when all of them are', async () => {
    const informer = start({ namespaces: ['n1', 'n2'] });
    const first = await server.next();
    const second = await server.next();
    await first.stream('5', [object('a', 1, { namespace: first.url.pathname.split('/')[4] ?? '' })]);
    await server.next();
    expect(informer.hasSynced).toBe(false);
    await second.stream('9', [object('a', 2, { namespace: second.url.pathname.split('/')[4] ?? '' })]);
    await informer.whenSynced(stop.signal);
    expect(informer.store.list().map(keyOf).sort()).toEqual(['n1/a', 'n2/a']);
  });

  it('slims what it stores, and stores whole what the transform cannot take', async () => {
    const informer = start({
      transform: (whole) => {
        if (whole.metadata.name === 'odd') throw new Error('odd');
        return { ...whole, spec: 'slim' };
      },
    });
    const watch = await listed('10', object('a', 1), object('odd', 2));
    const changed = change(informer);
    await watch.event('ADDED', object('b', 11));
    await changed;
    expect(informer.store.list().map(({ spec }) => spec)).toEqual(['slim', undefined, 'slim']);
  });

  it('reads a watch whose lines are cut at every byte, also within a character', async () => {
    const informer = start();
    const watch = await listed('10');
    const changed = change(informer);
    const event = { type: 'ADDED', object: { ...object('a', 11), spec: 'ä€😀' } };
    for (const byte of Buffer.from(`${JSON.stringify(event)}\n`)) await watch.send(Buffer.from([byte]));
    await changed;
    expect(informer.store.get('ns/a')?.spec).toBe('ä€😀');
  });

  it('stops at once while it watches', async () => {
    start();
    const watch = await listed('10');
    stop.abort();
    await watch.closed;
    expect(clock.pendingTimers).toBe(0);
  });

  it('stops at once, also while it lists', async () => {
    const informer = start();
    const list = await server.next();
    const synced = expect(informer.whenSynced(new AbortController().signal)).rejects.toThrow('stopped');
    const relisted = expect(informer.relist()).rejects.toThrow('stopped');
    stop.abort(new Error('stopped'));
    await Promise.all([list.closed, synced, relisted]);
  });
});

describe('in bad times', () => {
  it('goes on from the last event when the connection breaks in the middle of a line, later each time', async () => {
    const informer = start();
    const watch = await listed('10');
    const changed = change(informer);
    await watch.event('ADDED', object('a', 11));
    await changed;
    await watch.send('{"type":"MODI');
    watch.reset();
    await afterPause(800);
    const second = await next('WATCH /api/v1/things');
    expect(second.query('resourceVersion')).toBe('11');
    second.status(500, 'InternalError');
    await afterPause(1600);
    (await next('WATCH /api/v1/things')).reset();
    await afterPause(3200);
    await watching('11');
    expect(informer.store.size).toBe(1);
  });

  it('forgets its failures after two good minutes', async () => {
    start();
    (await listed('10')).reset();
    await afterPause(800);
    const second = await watching('10');
    await second.event('BOOKMARK', { metadata: { resourceVersion: '11' } });
    clock.advance(120_001);
    second.reset();
    await afterPause(800);
    await watching('11');
  });

  it.each([
    ['an event', (watch: ScriptedRequest) => watch.event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' })],
    ['another error event', (watch: ScriptedRequest) => watch.event('ERROR', { kind: 'Status', code: 500 })],
    ['no JSON', (watch: ScriptedRequest) => watch.send('<html>\n')],
  ])('lists afresh when the watch sends %s, and drops what is gone', async (_name, send) => {
    const informer = start();
    const watch = await listed('10', object('a', 1), object('b', 2));
    await send(watch);
    await afterPause(800);
    const list = await next('STREAM /api/v1/things');
    const changed = change(informer);
    await list.stream('30', [object('b', 2)]);
    expect(await changed).toBe('deleted a 1');
    await watching('30');
  });

  it('lists afresh when the version has expired at the start of a watch', async () => {
    start();
    const watch = await listed('10');
    await watch.event('BOOKMARK', { metadata: { resourceVersion: '20' } });
    watch.end();
    (await next('WATCH /api/v1/things')).status(410, 'Expired');
    await afterPause(800);
    await (await next('STREAM /api/v1/things')).stream('30', []);
    await watching('30');
  });

  it('takes a watch that says nothing for dead, and lists, for its version may lie in the future', async () => {
    const informer = start({ silenceMs: 150_000 });
    const watch = await listed('10', object('a', 1));
    await clock.untilTimer(150_000);
    clock.advance(100_000);
    const changed = change(informer);
    await watch.event('ADDED', object('b', 11));
    await changed;
    expect(informer.lastActivityAgeSeconds).toBe(0);
    clock.advance(149_999);
    expect(informer.lastActivityAgeSeconds).toBeCloseTo(150, 1);
    clock.advance(1);
    await watch.closed;
    await afterPause(800);
    // Older than what was seen before: once more, without trusting what is stored.
    await (await next('STREAM /api/v1/things')).stream('5', [object('a', 3)]);
    await (await next('STREAM /api/v1/things')).stream('5', [object('a', 3)]);
    await watching('5');
    expect(informer.store.list().map(keyOf)).toEqual(['ns/a']);
  });

  it('lists until it succeeds, as late as the server asks for', async () => {
    const informer = start();
    for (const pauseMs of [5000, 5000, 5000, 6400]) {
      (await next('STREAM /api/v1/things')).status(503, 'ServiceUnavailable', { 'retry-after': '5' });
      await afterPause(pauseMs);
    }
    await listed('10');
    await informer.whenSynced(stop.signal);
  });

  it.each([
    [
      'ends early',
      (list: ScriptedRequest) => {
        list.end();
        return Promise.resolve();
      },
    ],
    [
      'breaks',
      (list: ScriptedRequest) => {
        list.reset();
        return Promise.resolve();
      },
    ],
    ['fails', (list: ScriptedRequest) => list.event('ERROR', { kind: 'Status', code: 500 })],
    ['is no list', (list: ScriptedRequest) => list.send('<html>\n')],
    [
      'says nothing for half a minute',
      async () => {
        await clock.untilTimer(30_000);
        clock.advance(30_000);
      },
    ],
  ])('takes the list in pages when a streamed one %s, and streams the next one', async (_name, fail) => {
    const informer = start();
    const list = await next('STREAM /api/v1/things');
    await list.event('ADDED', object('a', 1));
    await fail(list);
    (await next('GET /api/v1/things')).list('10', [object('b', 2)]);
    await informer.whenSynced(stop.signal);
    expect(informer.store.list().map(keyOf)).toEqual(['ns/b']);
    await watching('10');
    const relisted = informer.relist();
    await (await next('STREAM /api/v1/things')).stream('11', []);
    await relisted;
  });

  it('takes a refusal for the answer where its namespace was deleted, and comes back with the rights', async () => {
    const informer = start({ namespaces: ['ns'] });
    const path = '/api/v1/namespaces/ns/things';
    await (await next(`STREAM ${path}`)).stream('10', [object('a', 1)]);
    const watch = await next(`WATCH ${path}`);
    watch.open();
    const relisted = informer.relist();
    (await next(`STREAM ${path}`)).status(403, 'Forbidden');
    await relisted;
    expect([informer.refusedNamespaces, informer.store.size]).toEqual([['ns'], 1]);
    // The only one: more likely a right that nobody has given.
    expect(informer.hasSynced).toBe(false);
    await watch.closed;
    await afterPause(800);
    (await next(`STREAM ${path}`)).status(403, 'Forbidden');
    await afterPause(1600);
    await (await next(`STREAM ${path}`)).stream('20', []);
    (await next(`WATCH ${path}`)).open();
    expect([informer.refusedNamespaces, informer.store.size]).toEqual([[], 0]);
  });

  it('is synced with a namespace that it may not read beside one that it may', async () => {
    const informer = start({ namespaces: ['n1', 'n2'] });
    const requests = [await server.next(), await server.next()].sort((x, y) => x.what.localeCompare(y.what));
    await requests[0]?.stream('10', []);
    requests[1]?.status(403, 'Forbidden');
    await informer.whenSynced(stop.signal);
    expect([informer.refusedNamespaces, informer.hasSynced]).toEqual([['n2'], true]);
  });

  it('lists when the rights to a watch are taken', async () => {
    start({ namespaces: ['ns'] });
    const path = '/api/v1/namespaces/ns/things';
    await (await next(`STREAM ${path}`)).stream('10', []);
    (await next(`WATCH ${path}`)).status(403, 'Forbidden');
    await afterPause(800);
    await next(`STREAM ${path}`);
  });

  it('waits for the right to list all namespaces', async () => {
    const informer = start();
    (await next('STREAM /api/v1/things')).status(403, 'Forbidden');
    await afterPause(800);
    expect([informer.refusedNamespaces, informer.hasSynced]).toEqual([[], false]);
    await listed('10');
    await informer.whenSynced(stop.signal);
  });

  it('comes back when the server was away', async () => {
    const informer = start();
    await listed('10', object('a', 1));
    const url = new URL(server.url);
    await server.close();
    await clock.untilTimer(800);
    clock.advance(800);
    await clock.untilTimer(1600);
    server = new ScriptedServer();
    await server.listen(Number(url.port));
    clock.advance(1600);
    await watching('10');
    expect(informer.store.size).toBe(1);
  });

  it('takes everything in one answer when a list is too slow for its pages', async () => {
    const informer = start({ pageSize: 1 });
    (await next('STREAM /api/v1/things')).status(422, 'Invalid');
    (await next('GET /api/v1/things')).list('10', [object('a', 1)], 'page2');
    (await next('GET /api/v1/things')).status(410, 'Expired');
    const whole = await next('GET /api/v1/things');
    expect([whole.query('limit'), whole.query('continue')]).toEqual([null, null]);
    whole.list('12', [object('b', 2)]);
    await informer.whenSynced(stop.signal);
    expect(informer.store.list().map(keyOf)).toEqual(['ns/b']);
  });

  it('does not hammer a server that ends watches at once', async () => {
    start();
    (await listed('10')).end();
    await afterPause(800);
    (await watching('10')).end();
    await afterPause(1600);
    await watching('10');
  });
});

describe('relist', () => {
  it('shares the first list when it is called right after the start', async () => {
    const informer = start();
    const relisted = informer.relist();
    await listed('10', object('a', 1));
    await relisted;
    expect(informer.store.size).toBe(1);
    expect(server.untaken).toHaveLength(0);
  });

  it('shows the state at the call: it waits for a list that starts after it', async () => {
    const informer = start();
    const early = await next('STREAM /api/v1/things');
    const relisted = informer.relist();
    const also = informer.relist();
    await early.stream('10', []);
    const requests = [await server.next(), await server.next()].sort((a, b) => a.what.localeCompare(b.what));
    expect(requests.map(({ what }) => what)).toEqual(['STREAM /api/v1/things', 'WATCH /api/v1/things']);
    await requests[0]?.stream('11', [object('a', 11)]);
    await Promise.all([relisted, also]);
    expect(informer.store.size).toBe(1);
    expect(server.untaken).toHaveLength(0);
  });

  it('keeps trying while the server fails', async () => {
    const informer = start();
    await listed('10');
    const relisted = informer.relist();
    (await next('STREAM /api/v1/things')).status(503, 'ServiceUnavailable');
    await afterPause(800);
    await (await next('STREAM /api/v1/things')).stream('12', [object('a', 11)]);
    await relisted;
    expect(informer.store.size).toBe(1);
  });
});

it('is measured', async () => {
  const registry = new Registry();
  const informer = start({ metrics: new KubeMetrics(registry) });
  await listed('10', object('a', 1));
  await informer.whenSynced(stop.signal);
  clock.advance(3000);
  const text = await registry.metrics();
  expect(text).toContain('bullpen_informer_objects{resource="things"} 1');
  expect(text).toContain('bullpen_informer_last_activity_age_seconds{resource="things"} 3');
  expect(text).toContain('bullpen_informer_lists_total{resource="things",cause="initial"} 1');
});
