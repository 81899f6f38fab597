import { beforeEach, describe, expect, it } from 'vitest';
import { apiVersion } from '../../api/names.ts';
import type { Session } from '../../api/session.ts';
import type { KubeApi } from '../../kube/api.ts';
import { clientError, errorFromAnswer } from '../../kube/errors.ts';
import type { NewObject } from '../../kube/objects.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { SessionWriter } from './session-writer.ts';

const wanted: NewObject<Session> = { apiVersion, kind: 'Session', metadata: { name: 's' }, spec: { agent: 'echo' } };
const made = { ...wanted, metadata: { name: 's', namespace: 'n', uid: 'u' } } as Session;

const lost = () => clientError('create', 'ConnectionLost', 'unknown');
const away = () => clientError('get', 'ConnectFailed', 'refused');
const missing = () => errorFromAnswer('get', 404, JSON.stringify({ kind: 'Status', reason: 'NotFound' }), undefined);
const forbidden = () => errorFromAnswer('delete', 403, '', undefined);

let clock: FakeClock;
let writer: SessionWriter;
let ending: AbortController;
let calls: string[];
let creating: () => Promise<Session>;
let reading: () => Promise<Session>;
let deleting: () => Promise<undefined>;

beforeEach(() => {
  clock = new FakeClock();
  ending = new AbortController();
  calls = [];
  creating = () => Promise.resolve(made);
  reading = () => Promise.reject(missing());
  deleting = () => Promise.resolve(undefined);
  const told =
    <T>(what: string, act: () => Promise<T>) =>
    (): Promise<T> => {
      calls.push(what);
      return act();
    };
  const api = {
    create: told('create', () => creating()),
    get: told('get', () => reading()),
    delete: told('delete', () => deleting()),
  } as unknown as KubeApi;
  const silent = () => undefined;
  const logger = { debug: silent, info: silent, warn: silent, error: silent };
  writer = new SessionWriter({ api, clock, logger, ending: ending.signal });
});

describe('a Session that is made', () => {
  const create = ({ once = true, signal = new AbortController().signal } = {}): Promise<Session | Error> =>
    writer.create('n', wanted, { signal, once }).catch((error: unknown) => error as Error);

  it('is not looked for when its reply came', async () => {
    expect(await create()).toBe(made);
    expect(calls).toEqual(['create']);
  });

  it('is there although its reply was lost, also when it shows late', async () => {
    creating = () => Promise.reject(lost());
    const created = create();
    await clock.advanceAsync(1_000);
    reading = () => Promise.reject(away());
    await clock.advanceAsync(20_000);
    reading = () => Promise.resolve(made);
    await clock.advanceAsync(5_000);
    expect(await created).toBe(made);
  });

  it('is not there when it does not show until it cannot come any more', async () => {
    creating = () => Promise.reject(lost());
    let answer: unknown;
    void create().then((error) => (answer = error));
    await clock.advanceAsync(6_900);
    expect(answer).toBeUndefined();
    await clock.advanceAsync(10_000);
    expect(answer).toMatchObject({ reason: 'ConnectionLost', outcome: 'refused' });
    const { length } = calls;
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(length);
  });

  it.each([
    ['is deleted when it turns up after whoever waited has gone', true, ['delete']],
    ['stays for whoever may come again for it', false, []],
  ])('%s', async (_what, once, deletions) => {
    creating = () => Promise.reject(lost());
    reading = () => Promise.reject(away());
    const gone = new AbortController();
    const created = create({ once, signal: gone.signal });
    await clock.advanceAsync(1_000);
    gone.abort();
    expect(await created).toMatchObject({ reason: 'ConnectionLost' });
    await clock.advanceAsync(30_000);
    reading = () => Promise.resolve(made);
    await clock.advanceAsync(5_000);
    expect(calls.filter((call) => call === 'delete')).toEqual(deletions);
  });
});

describe('a Session that is not wanted', () => {
  it('is deleted as soon as the API server answers again', async () => {
    deleting = () => Promise.reject(away());
    await writer.delete(made);
    await clock.advanceAsync(60_000);
    deleting = () => Promise.resolve(undefined);
    await clock.advanceAsync(5_000);
    const { length } = calls;
    await clock.advanceAsync(60_000);
    expect(calls).toHaveLength(length);
    expect(length).toBeGreaterThan(2);
  });

  it.each([
    ['it has gone', missing],
    ['that is not allowed', forbidden],
  ])('is tried to delete once when %s', async (_why, error) => {
    deleting = () => Promise.reject(error());
    await writer.delete(made);
    await clock.advanceAsync(60_000);
    expect(calls).toEqual(['delete']);
  });

  it('is left when the process ends', async () => {
    deleting = () => Promise.reject(away());
    await writer.delete(made);
    ending.abort();
    await clock.advanceAsync(60_000);
    expect(calls).toEqual(['delete']);
  });
});
