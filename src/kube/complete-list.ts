import type { KubeApi, ListOptions, Selection } from './api.ts';
import { errorFromStatus, isGone, isInvalid, KubeError } from './errors.ts';
import type { KubeObject } from './objects.ts';
import type { Resource } from './resources.ts';
import { keyOf } from './store.ts';

/** On the bookmark after the last object that was there when the watch began. */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/** The server ends a list that is streamed after this time. */
const STREAM_SECONDS = 300;

export interface CompleteListOptions<T extends KubeObject> {
  api: KubeApi;
  resource: Resource<T>;
  selection: Selection;
  /** What is kept of an object. Called as they come, for whole objects may not fit in memory together. */
  keep: (object: T) => T;
  /** Called whenever the server has said something. */
  onProgress: () => void;
  signal: AbortSignal;
}

/** All objects of a selection as of one version, which is not older than the call. */
export interface CompleteList<T extends KubeObject> {
  items: T[];
  version: string;
}

/**
 * The list as a watch that begins with what is there (`sendInitialEvents`, KEP-3157): the server sends one object after
 * the other from its cache, at a quarter of what pages cost it, and nobody has to hold more than one of them whole.
 * Undefined when the server does not do that: Kubernetes before 1.32, and some later ones, have it switched off.
 */
export async function streamedList<T extends KubeObject>(
  options: CompleteListOptions<T>,
): Promise<CompleteList<T> | undefined> {
  const { api, resource, selection, keep, onProgress, signal } = options;
  const found = new Map<string, T>();
  const watch = { ...selection, resourceVersion: '', sendInitialEvents: true, timeoutSeconds: STREAM_SECONDS, signal };
  try {
    for await (const event of api.watch(resource, watch)) {
      onProgress();
      switch (event.type) {
        case 'ADDED':
        case 'MODIFIED':
          found.set(keyOf(event.object), keep(event.object));
          break;
        case 'DELETED':
          found.delete(keyOf(event.object));
          break;
        case 'BOOKMARK': {
          const { annotations, resourceVersion } = event.object.metadata;
          if (annotations?.[INITIAL_EVENTS_END] === 'true')
            return { items: [...found.values()], version: resourceVersion };
          break;
        }
        case 'ERROR':
          throw errorFromStatus(`list of ${resource.plural}`, event.object);
      }
    }
  } catch (error) {
    if (isInvalid(error)) return undefined;
    throw error;
  }
  throw new Error('the server ended the list before it was complete');
}

/**
 * Whether pages may do where a streamed list has failed: something between us and the server may not pass streams on, or
 * answer them wrongly. Not when the server is busy or away, or refuses: it would do so again.
 */
export function mayComeInPages(error: unknown): boolean {
  if (!(error instanceof KubeError)) return true;
  if (error.code === 0) return error.reason === 'ConnectionLost' || error.reason === 'InvalidAnswer';
  return ![401, 403, 429, 503].includes(error.code);
}

/** The list page by page, from the server's storage. */
export async function pagedList<T extends KubeObject>(
  options: CompleteListOptions<T>,
  pageSize: number | undefined,
): Promise<CompleteList<T>> {
  const { api, resource, selection, keep, onProgress, signal } = options;
  const items: T[] = [];
  let version: string | undefined;
  let next: string | undefined;
  do {
    try {
      const query: ListOptions = { ...selection, limit: pageSize, continue: next, signal };
      const page = await api.list(resource, query);
      version ??= page.resourceVersion;
      for (const item of page.items) items.push(keep(item));
      next = page.continue;
    } catch (error) {
      // The pages took longer than the server keeps history. As client-go does, take all in one answer rather than
      // never finish.
      if (next !== undefined && isGone(error)) return await pagedList(options, undefined);
      throw error;
    }
    onProgress();
  } while (next !== undefined);
  return { items, version };
}
