import { apiVersion, labels, managedBy } from '../api/names.ts';
import type { Session, SessionSpec } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { isForbidden, isNotFound } from '../kube/errors.ts';
import { refOf, secrets, type ObjectRef } from '../kube/resources.ts';

const KEY = 'body';

/** What of a Session's spec says that its body is in this Secret. */
export function bodyFrom(secret: ObjectRef): Pick<SessionSpec, 'bodyFrom'> {
  return { bodyFrom: { secretKeyRef: { name: secret.name, key: KEY } } };
}

/** Puts a body that is too long for a Session into a Secret. */
export async function createBodySecret(api: KubeApi, { namespace, name }: ObjectRef, body: string): Promise<void> {
  await api.create(secrets, namespace, {
    metadata: { name, labels: { [labels.managedBy]: managedBy, [labels.body]: 'session' } },
    type: 'Opaque',
    data: { [KEY]: Buffer.from(body).toString('base64') },
  });
}

/** Makes the Secret go with its Session, however that comes to its end and whoever still looks on. */
export async function ownBodySecret(api: KubeApi, secret: ObjectRef, session: Session): Promise<void> {
  const { name, uid } = session.metadata;
  const ownerReferences = [{ apiVersion, kind: 'Session', name, uid }];
  await api.patch(secrets, secret, { type: 'merge', body: { metadata: { ownerReferences } } });
}

/** The agent has been told: nobody needs the Secret any more. */
export async function dropBodySecret(api: KubeApi, session: Session): Promise<void> {
  const name = session.spec.bodyFrom?.secretKeyRef.name;
  if (name === undefined) return;
  try {
    await api.delete(secrets, { ...refOf(session), name });
  } catch (error) {
    // Who may make Secrets and not delete them has started a session all the same; the Secret goes with it.
    if (!isNotFound(error) && !isForbidden(error)) throw error;
  }
}
