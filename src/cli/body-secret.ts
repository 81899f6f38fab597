import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { isForbidden, isNotFound } from '../kube/errors.ts';
import { refOf, secrets, type ObjectRef } from '../kube/resources.ts';
import { bodySecret, ownedBy } from '../pods/body-secret.ts';

/** Puts a body that is too long for a Session into a Secret. */
export async function createBodySecret(api: KubeApi, { namespace, name }: ObjectRef, body: string): Promise<void> {
  await api.create(secrets, namespace, bodySecret(name, Buffer.from(body)));
}

/** Makes the Secret go with its Session, however that comes to its end and whoever still looks on. */
export async function ownBodySecret(api: KubeApi, secret: ObjectRef, session: Session): Promise<void> {
  await api.patch(secrets, secret, { type: 'merge', body: { metadata: ownedBy(session) } });
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
