import { describe, expect, it } from 'vitest';
import type { Session, SessionStatus } from '../../api/session.ts';
import type { KubeApi, LogOptions, PodLogs } from '../../kube/api.ts';
import { KubeError } from '../../kube/errors.ts';
import { Store } from '../../kube/store.ts';
import { INDEX } from '../caches.ts';
import { SessionChanges } from '../start/session-changes.ts';
import { logQuery } from './log-filter.ts';
import { LogFollower } from './log-follower.ts';

const ID = '6c1f8f0e-6a2b-4f6e-9d53-0b8f2a4f7c11';

function sessionWith(version: number, status: SessionStatus): Session {
  const metadata = { name: ID, namespace: 'calls', uid: 'u', resourceVersion: String(version), creationTimestamp: '' };
  return { apiVersion: 'bullpen.dev/v1alpha1', kind: 'Session', metadata, spec: { agent: 'echo' }, status };
}

const line = (text: string): { timestamp: string; text: string } => ({ timestamp: '2026-01-01T00:00:00Z', text });
const reasons: Record<number, string> = { 400: 'BadRequest', 404: 'NotFound', 500: 'InternalError' };
const refused = (code: number): KubeError =>
  new KubeError('no log', { code, reason: reasons[code] ?? '', outcome: 'refused' });

type Log = (options: LogOptions) => ReturnType<PodLogs['podLog']>;

/** A follower of a session in this state, with these logs, one for each time that one is asked for. */
function follow(first: SessionStatus, logs: Log[], query: Record<string, string> = {}) {
  const store = new Store<Session>({ indexes: { [INDEX.uid]: ({ metadata }) => [metadata.uid] } });
  const session = sessionWith(1, first);
  store.replaceAll([session], '1');
  const asked: string[] = [];
  const stop = new AbortController();
  const follower = new LogFollower({
    api: { get: () => Promise.reject(refused(404)) } as unknown as KubeApi,
    logs: {
      podLog: ({ name }, options) => {
        asked.push(`${name} ${String(options.tailLines)}`);
        return (logs.shift() ?? none)(options);
      },
    },
    changes: new SessionChanges(store),
  });
  const again = (namespace = 'calls') =>
    follower.follow({ ...session, metadata: { ...session.metadata, namespace } }, logQuery.parse(query), stop.signal);
  let version = 1;
  return {
    lines: again(),
    again,
    asked,
    stop,
    become: (status: SessionStatus) => store.applyWatch('MODIFIED', sessionWith((version += 1), status)),
    gone: () => store.applyWatch('DELETED', sessionWith((version += 1), first)),
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- logs are read from a node
async function* of(...texts: string[]): ReturnType<PodLogs['podLog']> {
  for (const text of texts) yield line(text);
}

const none: Log = () => of();
const notYet: Log = () => failing(400);

// eslint-disable-next-line @typescript-eslint/require-await -- as above
async function* failing(code: number): ReturnType<PodLogs['podLog']> {
  throw refused(code);
}

async function rest(lines: AsyncGenerator<{ log: string }>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { log } of lines) texts.push(log);
  return texts;
}

const running: SessionStatus = { phase: 'Running', podName: 'p1', startedAt: '2026-01-01T00:00:00Z' };
const ended: SessionStatus = { ...running, phase: 'Ended' };

describe('following a session', () => {
  it('that is over ends with what there is, of which the query may want some', async () => {
    const { lines, asked } = follow(ended, [() => of('one', 'two')], { query: 'TW', limit: '5' });
    expect(await rest(lines)).toEqual(['two']);
    expect(asked).toEqual(['p1 5']);
  });

  it('that waits for a pod waits, too, and for its container to begin', async () => {
    const { lines, become, asked } = follow({ phase: 'Pending' }, [notYet, () => of('hello')]);
    const first = lines.next();
    become({ phase: 'Starting', podName: 'p1' });
    await expect.poll(() => asked).toEqual(['p1 undefined']);
    become(running);
    expect(await first).toMatchObject({ value: { log: 'hello', sessionId: ID } });
    const more = rest(lines);
    become(ended);
    expect(await more).toEqual([]);
  });

  it('goes on with the pod that takes the place of another', async () => {
    const { lines, become } = follow({ phase: 'Starting', podName: 'p0' }, [() => of('a'), () => of('b')]);
    const all = rest(lines);
    become(running);
    become(ended);
    expect((await all).at(-1)).toBe('b');
  });

  it('that is refused, or deleted, ends', async () => {
    const refusedOne = follow({ phase: 'Pending' }, []);
    const first = rest(refusedOne.lines);
    refusedOne.become({ phase: 'Rejected', reason: 'AtCapacity' });
    expect(await first).toEqual([]);
    const deleted = follow(running, [none]);
    const second = rest(deleted.lines);
    deleted.gone();
    expect(await second).toEqual([]);
  });

  it('is refused where too many are followed, until one is over', async () => {
    const played = follow({ phase: 'Pending' }, []);
    const open = Array.from({ length: 200 }, (_, index) => played.again(`org-${String(index % 5)}`));
    for (const each of open) void each.next();
    expect(() => played.again()).toThrow('too many');
    played.become({ phase: 'Rejected' });
    for (const each of open) expect(await rest(each)).toEqual([]);
    expect(await rest(played.again())).toEqual([]);
  });

  it('is refused where one organization follows too many, until one of them is over, and leaves room for others', async () => {
    const played = follow({ phase: 'Pending' }, []);
    const open = Array.from({ length: 50 }, () => played.again());
    for (const each of open) void each.next();
    expect(() => played.again()).toThrow('too many');
    const other = played.again('others');
    void other.next();
    played.become({ phase: 'Rejected' });
    for (const each of [...open, other]) expect(await rest(each)).toEqual([]);
    expect(await rest(played.again())).toEqual([]);
  });

  it('fails where the log cannot be read, and stops when nobody listens', async () => {
    await expect(rest(follow(running, [() => failing(500)]).lines)).rejects.toThrow('no log');
    const { lines, stop } = follow({ phase: 'Pending' }, []);
    const first = lines.next();
    stop.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
  });
});
