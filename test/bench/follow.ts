import type { Api } from '../cluster/api.ts';

/** What all watched objects have. */
export interface Named {
  metadata: { name: string; uid: string; labels?: Record<string, string>; resourceVersion: string };
  status?: { phase?: string; reason?: string; startKind?: string; startedAt?: string; podName?: string };
}

/** The version of a collection from which a watch sees all that comes. */
export async function currentVersion(api: Api, path: string): Promise<string> {
  const list = await api.call<{ metadata: { resourceVersion: string } }>('GET', `${path}?limit=1`);
  return list.metadata.resourceVersion;
}

/**
 * Tells of every object that was made or changed since `version`, until the signal is aborted; rejects then, and when a watch fails.
 *
 * It goes on where a watch has ended: the API server ends those that are slow to read, and those of a resource that was defined a
 * moment ago.
 */
export async function follow(
  api: Api,
  path: string,
  version: string,
  signal: AbortSignal,
  onObject: (object: Named) => void,
): Promise<void> {
  for (let from = version; !signal.aborted;) {
    const query = `${path}?watch=1&resourceVersion=${from}`;
    for await (const { type, object } of api.lines<{ type: string; object: Named }>(query, signal)) {
      if (type === 'ERROR') throw new Error(JSON.stringify(object));
      from = object.metadata.resourceVersion;
      if (type !== 'DELETED') onObject(object);
    }
  }
}
