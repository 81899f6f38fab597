import { z } from 'zod';
import { annotations, labels, managedBy } from '../api/names.ts';
import { namesOf, startKinds } from '../api/reasons.ts';
import { sessionStatusLimits } from '../api/session.ts';
import type { KubeObject } from '../kube/objects.ts';

const recordSchema = z.object({
  /** When the controller decided to start the Session: its own clock, RFC 3339 with milliseconds. */
  admittedAt: z.iso.datetime(),
  /** Which try to run the Session this is, from 0: a pod that was lost before the agent was told anything is replaced. */
  attempt: z.number(),
  startKind: z.enum(namesOf(startKinds)).default('Cold'),
  /** How long this pod may take to start the session, in seconds, when that is less than the Session's start timeout. */
  startWindowSeconds: z.number().optional(),
  limits: sessionStatusLimits,
});

/**
 * That a pod serves a Session. The pod is the owner of this fact: `Session.status` is derived from it and can be
 * written again after any crash.
 */
export interface Binding extends z.infer<typeof recordSchema> {
  agent: string;
  session: { name: string; uid: string };
}

/** The labels and annotations that record a binding on a pod. */
export function bindingMetadata(binding: Binding): {
  labels: Record<string, string>;
  annotations: Record<string, string>;
} {
  const { agent, session, ...record } = binding;
  return {
    labels: {
      [labels.managedBy]: managedBy,
      [labels.agent]: agent,
      [labels.session]: session.name,
      [labels.sessionUid]: session.uid,
      [labels.state]: 'busy',
    },
    annotations: { [annotations.binding]: JSON.stringify(record) },
  };
}

/**
 * The uid of the Session that a pod serves: from its label, else (somebody took that off) from its owner, so that no pod
 * is held for ever because nobody knows whose it is.
 */
export function sessionUidOf({ metadata }: KubeObject): string | undefined {
  return metadata.labels?.[labels.sessionUid] ?? metadata.ownerReferences?.find(({ kind }) => kind === 'Session')?.uid;
}

/** A binding of which only labels may be left. */
export type ReadBinding = Pick<Binding, 'agent' | 'session' | 'attempt' | 'startKind'> & Partial<Binding>;

/**
 * The binding that a pod records, or undefined where it serves no Session.
 *
 * A pod whose labels name a Session but whose annotation cannot be read (somebody edited it) is still bound: its
 * limits come back as `undefined`, and the caller uses those in the Session's status.
 */
export function readBinding(pod: KubeObject): ReadBinding | undefined {
  const own = pod.metadata.labels ?? {};
  const agent = own[labels.agent];
  const name = own[labels.session];
  const uid = own[labels.sessionUid];
  if (agent === undefined || name === undefined || uid === undefined) return undefined;
  const base = { agent, session: { name, uid } };
  const record = recordSchema.safeParse(parseJson(pod.metadata.annotations?.[annotations.binding]));
  return record.success ? { ...base, ...record.data } : { ...base, attempt: 0, startKind: 'Cold' };
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it, like any other record that cannot be read.
  }
}
