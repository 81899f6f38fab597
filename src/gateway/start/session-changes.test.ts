import { beforeEach, describe, expect, it } from 'vitest';
import { apiVersion } from '../../api/names.ts';
import type { Session, SessionStatus } from '../../api/session.ts';
import { Store } from '../../kube/store.ts';
import { INDEX } from '../caches.ts';
import { Problem } from '../problems.ts';
import { SessionChanges } from './session-changes.ts';

let store: Store<Session>;
let changes: SessionChanges;
let version: number;

/** A Session at its next version. */
function session(phase?: SessionStatus['phase']): Session {
  return {
    apiVersion,
    kind: 'Session',
    metadata: {
      name: 's',
      namespace: 'n',
      uid: 'u',
      creationTimestamp: '2026-01-01T00:00:00Z',
      resourceVersion: String((version += 1)),
    },
    spec: { agent: 'echo' },
    ...(phase && { status: { phase } }),
  };
}

function decide(now: Session | undefined): string | undefined {
  if (now === undefined) return 'gone';
  if (now.status?.phase === 'Rejected') throw new Problem('AtCapacity');
  return now.status?.phase;
}

beforeEach(() => {
  version = 0;
  store = new Store({ indexes: { [INDEX.uid]: ({ metadata }) => [metadata.uid] } });
  changes = new SessionChanges(store);
});

describe('whoever waits for what becomes of a Session', () => {
  const waiting = (signal = new AbortController().signal): Promise<unknown> => {
    const made = session();
    store.writeThrough(made);
    return changes.first(made, decide, signal).catch((error: unknown) => error);
  };

  it('hears the first answer to a change', async () => {
    const heard = waiting();
    store.applyWatch('MODIFIED', session());
    store.applyWatch('MODIFIED', session('Running'));
    store.applyWatch('MODIFIED', session('Ended'));
    expect(await heard).toBe('Running');
  });

  it('hears of a refusal as soon as it comes', async () => {
    const heard = waiting();
    store.applyWatch('MODIFIED', session('Rejected'));
    expect(await heard).toMatchObject({ kind: 'AtCapacity' });
  });

  it('hears that it has been deleted', async () => {
    const heard = waiting();
    store.applyWatch('DELETED', session());
    expect(await heard).toBe('gone');
  });

  it('hears at once that it was deleted before anybody waited', async () => {
    const made = session();
    store.applyWatch('ADDED', made);
    store.applyWatch('DELETED', session());
    expect(await changes.first(made, decide, new AbortController().signal)).toBe('gone');
  });

  it('hears of one that the cache has not seen yet', async () => {
    const heard = changes.first(session(), decide, new AbortController().signal);
    store.applyWatch('MODIFIED', session('Running'));
    expect(await heard).toBe('Running');
  });

  it('hears at once what the cache knows already', async () => {
    const made = session();
    store.applyWatch('ADDED', session('Running'));
    expect(await changes.first(made, decide, new AbortController().signal)).toBe('Running');
  });

  it('is let go by the signal', async () => {
    const gone = new AbortController();
    const heard = waiting(gone.signal);
    gone.abort(new Error('no longer'));
    expect(await heard).toEqual(new Error('no longer'));
  });
});
