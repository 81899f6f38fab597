import { apiVersion, headersKey, labels, managedBy } from '../api/names.ts';
import type { Session, SessionSpec } from '../api/session.ts';
import type { NewObject, ObjectMeta, Secret } from '../kube/objects.ts';
import type { BotHeaders } from '../supervisor/wire.ts';

const BODY_KEY = 'body';

/** What of a Session's spec says that its body is in this Secret. */
export function bodyFrom(secret: string): Required<Pick<SessionSpec, 'bodyFrom'>> {
  return { bodyFrom: { secretKeyRef: { name: secret, key: BODY_KEY } } };
}

/** The Secret of a body that is too long for a Session, with the label without which none may name it. */
export function bodySecret(name: string, body: Buffer, headers?: BotHeaders): NewObject<Secret> {
  return {
    metadata: { name, labels: { [labels.managedBy]: managedBy, [labels.body]: 'session' } },
    type: 'Opaque',
    immutable: true,
    data: {
      [BODY_KEY]: body.toString('base64'),
      ...(headers && { [headersKey]: Buffer.from(JSON.stringify(headers)).toString('base64') }),
    },
  };
}

/** Makes a Secret go with its Session at the latest, however that comes to its end and whoever still looks on. */
export function ownedBy({ metadata: { name, uid } }: Session): Required<Pick<ObjectMeta, 'ownerReferences'>> {
  return { ownerReferences: [{ apiVersion, kind: 'Session', name, uid }] };
}
