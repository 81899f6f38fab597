import type { KubeEvent, KubeObject, ObjectReference } from './objects.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf } from './resources.ts';

/** Something that a person who looks at an object should know. */
export interface EventNote {
  regarding: ObjectReference;
  type: 'Normal' | 'Warning';
  /** Why, as one UpperCamelCase word that others may match: `FailedCreate`. */
  reason: string;
  /** What was done or tried, as one UpperCamelCase word: `CreatePod`. */
  action: string;
  /** A sentence for people; cut off at 1024 bytes. */
  note: string;
}

/** Limits of the API (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/). */
const maxNoteBytes = 1024;
const maxNameLength = 253;

/** What an Event points at. */
export function referenceTo(resource: Resource, object: KubeObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  const reference = { apiVersion: apiVersionOf(resource), kind: resource.kind, name, uid, resourceVersion };
  return namespace === undefined ? reference : { ...reference, namespace };
}

/** Notes with the same key are one Event that happened several times. */
export function seriesKey({ regarding, type, reason, action, note }: EventNote): string {
  return JSON.stringify([objectKey(regarding), type, reason, action, note]);
}

/** Which object a note is about. */
export function objectKey({ apiVersion, kind, namespace, name, uid }: ObjectReference): string {
  return JSON.stringify([apiVersion, kind, namespace, name, uid]);
}

/** The body of a new Event. The suffix makes its name unique. Events about cluster-scoped objects live in `default`. */
export function eventBody(
  event: EventNote,
  reporter: { controller: string; instance: string },
  time: string,
  suffix: string,
): Omit<KubeEvent, 'metadata'> & { metadata: { name: string; namespace: string } } {
  const { regarding, type, reason, action, note } = event;
  const name = (regarding.name ?? '').slice(0, maxNameLength - 1 - suffix.length);
  return {
    metadata: { name: `${name}.${suffix}`, namespace: regarding.namespace ?? 'default' },
    eventTime: time,
    reportingController: reporter.controller,
    reportingInstance: reporter.instance.slice(0, 128),
    type,
    reason,
    action,
    regarding,
    note: cut(note),
  };
}

/** The beginning of a text that fits into so many bytes, without half a character at its end. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxNoteBytes) return text;
  let end = maxNoteBytes - 3; // room for the ellipsis
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}…`;
}
