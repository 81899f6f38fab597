import { randomUUID } from 'node:crypto';
import type { Session, SessionSpec } from '../api/session.ts';
import { isForbidden, isNotFound, isOutcomeUnknown } from '../kube/errors.ts';
import { refOf, secrets, type ObjectRef } from '../kube/resources.ts';
import { bodyFrom, bodySecret, ownedBy } from '../pods/body-secret.ts';
import { CliError, type Tools } from './command.ts';
import { explain } from './explain.ts';

/**
 * Makes a Session whose body is too long for it. The body comes before it, in a Secret: the controller waits for none but those of the
 * gateway. What was said is left behind by no failure and no Ctrl-C.
 */
export async function createWithSecret(
  tools: Tools,
  { name, body }: { name: string; body: string },
  create: (spec: Pick<SessionSpec, 'bodyFrom'>) => Promise<Session>,
): Promise<Session> {
  const { api, namespace, note, interrupted } = tools;
  // A name of its own: what is deleted is never that of another session that had this name.
  const secret = { namespace, name: `${name}-${randomUUID().slice(0, 8)}` };
  try {
    await api.create(secrets, namespace, bodySecret(secret.name, Buffer.from(body)));
  } catch (error) {
    if (isOutcomeUnknown(error)) await remove(tools, secret);
    throw error;
  }
  let session;
  try {
    if (interrupted().aborted) throw new CliError('Interrupted: no session was made.', 130);
    session = await create(bodyFrom(secret.name));
  } catch (error) {
    await remove(tools, secret);
    throw error;
  }
  // The session is on its way: that the Secret may stay is no reason to say that there is none.
  await api
    .patch(secrets, secret, { type: 'merge', body: { metadata: ownedBy(session) } })
    .catch((error: unknown) =>
      note(`The Secret ${secret.name} does not go with its session: ${explain(error)}\n${byHand(secret)}`),
    );
  return session;
}

/** The agent has been told: nobody needs the Secret any more. */
export async function dropBodySecret({ api, note }: Tools, session: Session): Promise<void> {
  const name = session.spec.bodyFrom?.secretKeyRef.name;
  if (name === undefined) return;
  try {
    await api.delete(secrets, { ...refOf(session), name });
  } catch (error) {
    // Who may make Secrets and not delete them has started a session all the same; the Secret goes with it.
    if (isNotFound(error) || isForbidden(error)) return;
    note(`The session runs, and the Secret ${name} of its body is still there: ${explain(error)}`);
  }
}

async function remove({ api, note }: Tools, secret: ObjectRef): Promise<void> {
  try {
    await api.delete(secrets, secret);
  } catch (error) {
    if (!isNotFound(error)) note(`The Secret ${secret.name} may be left over: ${explain(error)}\n${byHand(secret)}`);
  }
}

function byHand({ namespace = '', name }: ObjectRef): string {
  return `It has what the agent was to be told. Delete it: kubectl -n ${namespace} delete secret ${name}`;
}
