import { labels } from '../api/names.ts';
import type { RejectReason } from '../api/reasons.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { isNotFound } from '../kube/errors.ts';
import type { Secret } from '../kube/objects.ts';
import { secrets } from '../kube/resources.ts';
import type { Body } from '../pods/process-pod.ts';

/** The largest body, in bytes. A Secret holds at most 1 MiB in all. */
export const MAX_BODY_BYTES = 1_000_000;

export type BodyResult = { ok: true; body: Body } | { ok: false; reason: RejectReason; message: string };

/** Finds the body of a Session. Only a Secret that is labelled as a body may be named: a Session must not open others. */
export async function findBody(api: KubeApi, session: Session): Promise<BodyResult> {
  const ref = session.spec.bodyFrom?.secretKeyRef;
  if (ref === undefined) return { ok: true, body: { kind: 'inline', text: session.spec.body ?? '' } };
  try {
    const namespace = session.metadata.namespace;
    const secret = await api.get(secrets, namespace === undefined ? { name: ref.name } : { namespace, name: ref.name });
    return checkBodySecret(secret, ref);
  } catch (error) {
    if (isNotFound(error))
      return { ok: false, reason: 'BodyNotFound', message: `there is no Secret ${ref.name} in this namespace` };
    throw error;
  }
}

/** The bytes of a body that `findBody` has found before. Throws when it is no longer there. */
export async function readBody(api: KubeApi, session: Session): Promise<Buffer> {
  const ref = session.spec.bodyFrom?.secretKeyRef;
  if (ref === undefined) return Buffer.from(session.spec.body ?? '');
  const { namespace = '' } = session.metadata;
  const secret = await api.get(secrets, { namespace, name: ref.name });
  const checked = checkBodySecret(secret, ref);
  if (!checked.ok) throw new Error(checked.message);
  return Buffer.from(secret.data?.[ref.key] ?? '', 'base64');
}

function checkBodySecret(secret: Secret, { name, key }: { name: string; key: string }): BodyResult {
  if (secret.metadata.labels?.[labels.body] === undefined) {
    return {
      ok: false,
      reason: 'BodyNotAllowed',
      message: `Secret ${name} has no label ${labels.body}: only Secrets with it may be a body`,
    };
  }
  const value = secret.data?.[key];
  if (value === undefined) return { ok: false, reason: 'BodyNotFound', message: `Secret ${name} has no key ${key}` };
  const bytes = Buffer.byteLength(value, 'base64');
  if (bytes > MAX_BODY_BYTES) {
    return { ok: false, reason: 'BodyTooLarge', message: `the body is ${bytes} bytes, more than ${MAX_BODY_BYTES}` };
  }
  return { ok: true, body: { kind: 'secret', name, key, bytes } };
}
