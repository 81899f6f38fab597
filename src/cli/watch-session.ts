import { sessions } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import { isGone, KubeError } from '../kube/errors.ts';
import type { WatchEvent } from '../kube/api.ts';
import { SilenceGuard } from '../kube/silence-guard.ts';
import type { Tools } from './command.ts';

/** The API server sends a bookmark every minute at the latest. A connection that is dead never says so. */
const SILENCE_MS = 90_000;

/** The first answer of `decide` that is not undefined, about a Session as it is and as it becomes; undefined stands for one that is gone. */
export async function watchSession<T>(
  tools: Pick<Tools, 'api' | 'clock' | 'interrupted'>,
  { namespace, name }: { namespace: string; name: string },
  decide: (session: Session | undefined) => T | undefined,
): Promise<T> {
  const { api, clock, interrupted } = tools;
  const signal = interrupted();
  const fieldSelector = `metadata.name=${name}`;
  for (;;) {
    const { items, resourceVersion } = await api.list(sessions, { namespace, fieldSelector, signal });
    const answer = decide(items[0]);
    if (answer !== undefined) return answer;
    const guard = new SilenceGuard(clock, SILENCE_MS, signal);
    try {
      const options = { namespace, fieldSelector, resourceVersion, signal: guard.signal };
      for await (const event of api.watch(sessions, options)) {
        guard.heard();
        if (event.type === 'ERROR') break;
        const next = decideOn(event, decide);
        if (next !== undefined) return next;
      }
    } catch (error) {
      // A watch may end at any time; the list says what it would have told.
      const goesOn = isGone(error) || (error instanceof KubeError && error.reason === 'ConnectionLost');
      if (signal.aborted || !(goesOn || guard.wasSilent)) throw error;
    } finally {
      guard.end();
    }
  }
}

function decideOn<T>(
  event: Exclude<WatchEvent<Session>, { type: 'ERROR' }>,
  decide: (session: Session | undefined) => T | undefined,
): T | undefined {
  if (event.type === 'BOOKMARK') return undefined;
  return decide(event.type === 'DELETED' ? undefined : event.object);
}
