import { sessions } from '../api/resources.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { isGone, KubeError } from '../kube/errors.ts';

/** The first answer of `decide` that is not undefined, about a Session as it is and as it becomes; undefined stands for one that is gone. */
export async function watchSession<T>(
  api: KubeApi,
  { namespace, name }: { namespace: string; name: string },
  decide: (session: Session | undefined) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  const fieldSelector = `metadata.name=${name}`;
  for (;;) {
    const { items, resourceVersion } = await api.list(sessions, { namespace, fieldSelector, signal });
    const answer = decide(items[0]);
    if (answer !== undefined) return answer;
    try {
      for await (const event of api.watch(sessions, { namespace, fieldSelector, resourceVersion, signal })) {
        if (event.type === 'BOOKMARK') continue;
        if (event.type === 'ERROR') break;
        const next = decide(event.type === 'DELETED' ? undefined : event.object);
        if (next !== undefined) return next;
      }
    } catch (error) {
      // A watch may end at any time; the list says what it would have told.
      const goesOn = isGone(error) || (error instanceof KubeError && error.reason === 'ConnectionLost');
      if (signal.aborted || !goesOn) throw error;
    }
  }
}
