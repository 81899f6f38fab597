import type { Session } from '../../api/session.ts';
import { sessions as sessionResource } from '../../api/resources.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isNotFound } from '../../kube/errors.ts';
import { find } from '../../kube/find.ts';
import { keyOf, type Store } from '../../kube/store.ts';
import { sessionId } from '../../pods/names.ts';
import { INDEX } from '../caches.ts';
import { Problem } from '../problems.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Finds and stops Sessions by the id that callers know. They outlive their Agent. */
export class SessionDirectory {
  readonly #api: KubeApi;
  readonly #sessions: Store<Session>;

  constructor(deps: { api: KubeApi; sessions: Store<Session> }) {
    this.#api = deps.api;
    this.#sessions = deps.sessions;
  }

  /** Of an Agent's name, whether there is such an Agent or not; newest first. */
  ofAgent(namespace: string, agent: string): Session[] {
    return this.#sessions.byIndex(INDEX.byAgent, keyOf({ namespace, name: agent })).sort(newestFirst);
  }

  /** @throws Problem BadRequest or SessionNotFound */
  async get(namespace: string, agent: string, id: string): Promise<Session> {
    if (!UUID.test(id)) throw new Problem('BadRequest', { error: 'Invalid parameters: the session id must be a UUID' });
    const found = this.#find(namespace, id) ?? (await find(this.#api, sessionResource, { namespace, name: id }));
    if (found?.spec.agent !== agent) throw new Problem('SessionNotFound');
    return found;
  }

  /** Ends a session; one that is over stays as it is. @throws Problem BadRequest or SessionNotFound */
  async stop(namespace: string, agent: string, id: string): Promise<Session> {
    const session = await this.get(namespace, agent, id);
    if (session.spec.stop === true) return session;
    const { name, uid } = session.metadata;
    try {
      const stopped = await this.#api.patch(
        sessionResource,
        { namespace, name },
        { type: 'merge', body: { metadata: { uid }, spec: { stop: true } } },
      );
      this.#sessions.writeThrough(stopped);
      return stopped;
    } catch (error) {
      if (isNotFound(error)) throw new Problem('SessionNotFound', { cause: error });
      throw error;
    }
  }

  #find(namespace: string, id: string): Session | undefined {
    const named = this.#sessions.get(keyOf({ namespace, name: id }));
    if (named !== undefined) return named;
    const [other] = this.#sessions.byIndex(INDEX.uid, id);
    // Another organization's session is none.
    return other?.metadata.namespace === namespace && sessionId(other.metadata) === id ? other : undefined;
  }
}

function newestFirst(a: Session, b: Session): number {
  return (
    Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp) ||
    a.metadata.name.localeCompare(b.metadata.name)
  );
}
